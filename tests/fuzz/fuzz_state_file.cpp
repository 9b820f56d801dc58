#include <cstdint>
#include <cstdio>
#include <new>
#include <stdexcept>

#include "detail/saved.hpp"

/// Any file is an ensemble that can forecast and learn, or one std::invalid_argument; or one whose
/// settings ask for more memory than there is.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  memoa::detail::File file(fmemopen(const_cast<std::uint8_t*>(data), size, "rb"));
  try {
    memoa::detail::StateReader reader(std::move(file), "file");
    memoa::Saved saved = memoa::detail::read_saved(reader, 1);
    std::visit(
        [](auto& engines) {
          const auto& s = engines.population.settings();
          const bool given = std::holds_alternative<memoa::Precomputed>(s.encoder);
          const memoa::Index width = given ? s.n_agents * memoa::n_features(s.encoder) : s.n_inputs;
          const std::vector<double> x(static_cast<std::size_t>(width), 0.5);
          std::vector<double> y(static_cast<std::size_t>(s.n_outputs), 1.0), forecast(y);
          for (int step = 0; step < 2; ++step) {
            predict(engines.population, engines.mixture, x.data(), forecast.data());
            learn(engines.population, engines.mixture, y.data());
          }
        },
        saved.engines);
  } catch (const std::invalid_argument&) {
  } catch (const std::bad_alloc&) {
  }
  return 0;
}
