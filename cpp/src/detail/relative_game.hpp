#pragma once

#include <vector>

namespace memoa::detail {

/// First stage of the scalar game relative to the base, theory (6.1).
struct RelativeStage {
  double K, L, ko, km, w;
};

inline RelativeStage relative_game(double nu, const std::vector<double>& weights, double consensus,
                                   double effort) {
  double l1 = 0.0, l2 = 0.0, so = 0.0, sm = 0.0;
  RelativeStage stage{};
  for (auto weight = weights.rbegin(); weight != weights.rend(); ++weight) {
    const double w = *weight;
    stage = {l1 + w * (1.0 + consensus), l2 - w * consensus, so - w, sm, w};
    // no energy, no response, also where a discount has left no price of effort
    const double F = nu > 0.0 ? nu / (stage.K * nu + w * effort) : 0.0, W = 1.0 - stage.K * F;
    const double joint = 1.0 + F * stage.L;
    const double map = W / joint, shift = -F * (stage.ko + stage.km) / joint;
    l1 = W * stage.K;
    l2 = W * stage.L * map;
    so = W * stage.ko;
    sm = W * (stage.L * shift + stage.km);
  }
  return stage;
}

}  // namespace memoa::detail
