// A live loop that saves what it has learnt, and resumes where it stopped. For every line "x1 x2 y"
// it writes the forecast of y, made before y is looked at; a last line may end before its y.
//
//     live STATE < LINES
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memoa/memoa.hpp>

namespace {

memoa::OnlineEnsemble resume(const std::string& path) {
  if (std::filesystem::exists(path)) return memoa::OnlineEnsemble::load(path);
  memoa::PopulationSettings settings;
  settings.n_agents = 50;
  settings.n_inputs = 2;
  return memoa::OnlineEnsemble(settings, {}, {0.9});  // with intervals of 90 %
}

void follow(memoa::OnlineEnsemble& ensemble, std::istream& lines) {
  std::vector<double> x(2);
  double y = 0.0;
  while (lines >> x[0] >> x[1]) {
    const double forecast = ensemble.predict(x)[0];
    const double low = ensemble.intervals()[0], high = ensemble.intervals()[1];
    std::printf("%.17g %.17g %.17g\n", forecast, low, high);
    if (lines >> y) ensemble.learn(x, y);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s STATE < lines of x1 x2 y\n", argv[0]);
    return 2;
  }
  try {
    memoa::OnlineEnsemble ensemble = resume(argv[1]);
    follow(ensemble, std::cin);
    ensemble.save(argv[1]);
    const memoa::WorstAgent worst = ensemble.worst_agent();
    std::fprintf(stderr, "%td steps learnt; agent %td has the largest cost, %g\n", ensemble.steps(),
                 worst.agent, worst.cost);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
