// A live loop whose y is known three lines late: in a line "x1 x2 y" it is the one that belongs to
// the forecast three lines before, and nan in the first three lines of all. It saves what it has
// learnt and what waits for its y, and resumes where it stopped.
//
//     late STATE < LINES
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
  settings.past.delay = 3;
  return memoa::OnlineEnsemble(settings, {}, {0.9});  // with intervals of 90 %
}

void follow(memoa::OnlineEnsemble& ensemble, std::istream& lines) {
  const memoa::Index delay = ensemble.settings().past.delay;
  std::vector<double> x(2);
  std::string y;  // as text: streams do not read nan
  while (lines >> x[0] >> x[1] >> y) {
    const double forecast = ensemble.predict(x)[0];
    const double low = ensemble.intervals()[0], high = ensemble.intervals()[1];
    std::printf("%.17g %.17g %.17g\n", forecast, low, high);
    if (memoa::n_waiting(ensemble.population()) <= delay) continue;
    const std::vector<double> waiting = memoa::waiting_inputs(ensemble.population());
    ensemble.learn({waiting.data(), 2}, std::stod(y));  // of the oldest
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
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
