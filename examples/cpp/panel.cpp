// A panel of shops with a series each, which lean on each other's readouts; the third one opens
// later. Inputs are the sales of the day and of the week before.
#include <cmath>
#include <cstdio>
#include <memoa/memoa.hpp>

namespace {

/// Sales of a shop on a day: a week of its own size, on a level that falls.
double sales(int shop, int day) {
  static constexpr double week[] = {1.0, 0.9, 1.1, 1.2, 1.6, 2.0, 0.4};
  return 10.0 * (shop + 1) * week[(day + 7) % 7] - 0.05 * day;
}

}  // namespace

int main() {
  constexpr int kShops = 3, kDays = 60, kOpens = 30;
  memoa::PanelSettings settings;
  settings.n_clients = kShops, settings.n_inputs = 2, settings.seed = 1;
  memoa::Panel panel(settings);
  std::vector<double> x(2 * kShops), y(kShops), forecasts(kShops);
  for (int day = 0; day < kDays; ++day) {
    for (int shop = 0; shop < kShops; ++shop) {
      const bool is_open = shop < 2 || day >= kOpens;
      x[2 * shop] = sales(shop, day - 1), x[2 * shop + 1] = sales(shop, day - 7);
      y[shop] = is_open ? sales(shop, day) : std::nan("");  // no value yet
    }
    panel.predict(x.data(), forecasts.data());
    panel.learn(y.data());
  }
  std::printf("forecasts of the last day: %.17g %.17g %.17g\n", forecasts[0], forecasts[1],
              forecasts[2]);
  std::vector<double> costs(kShops), scored(kShops);
  panel.costs(costs.data()), panel.scored(scored.data());
  for (int shop = 0; shop < kShops; ++shop)
    std::printf("shop %d: rmse %.17g over %g days\n", shop, std::sqrt(costs[shop] / scored[shop]),
                scored[shop]);
}
