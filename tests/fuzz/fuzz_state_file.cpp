#include <cstdint>
#include <cstdio>
#include <new>
#include <stdexcept>

#include "detail/saved.hpp"

namespace {

using memoa::Index;

std::vector<double> filled(Index size, double value) {
  return std::vector<double>(static_cast<std::size_t>(size), value);
}

template <class Real>
void go_on(memoa::SavedEngines<Real>& engines) {
  const auto& s = engines.population.settings();
  const Index width = memoa::takes_features(s) ? s.n_agents * memoa::n_features(s) : s.n_inputs;
  const auto x = filled(width, 0.5), y = filled(s.n_outputs, 1.0);
  auto forecast = filled(s.n_outputs, 0.0);
  for (int step = 0; step < 2; ++step) {
    predict(engines.population, engines.mixture, x.data(), forecast.data());
    learn(engines.population, engines.mixture, y.data());
  }
}

template <class Real>
void go_on(memoa::BasicPanel<Real>& panel) {
  const auto& s = panel.settings();
  const bool given = std::holds_alternative<memoa::Precomputed>(s.encoder);
  const Index width = given ? memoa::n_features(s.encoder, 0) : s.n_inputs;
  const std::vector<Real> x(static_cast<std::size_t>(s.n_clients * width), Real(0.5));
  const auto y = filled(s.n_clients * s.n_outputs, 1.0);
  auto forecasts = y;
  for (int step = 0; step < 2; ++step) {
    if (panel.is_pending()) panel.learn(y.data());  // a late one may have no room for another
    panel.predict(x.data(), forecasts.data());
    panel.learn(y.data());
  }
}

}  // namespace

/// Any file is an ensemble or a panel that can forecast and learn, or one std::invalid_argument; or
/// one whose settings ask for more memory than there is.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  memoa::detail::File file(fmemopen(const_cast<std::uint8_t*>(data), size, "rb"));
  const auto all = [](auto&& engines) { go_on(engines); };
  try {
    memoa::detail::StateReader reader(std::move(file), "file");
    if (reader.header().at("kind").as_string("kind") == "Panel")
      std::visit(all, memoa::detail::read_panel(reader, 1).panel);
    else
      std::visit(all, memoa::detail::read_saved(reader, 1).engines);
  } catch (const std::invalid_argument&) {
  } catch (const std::bad_alloc&) {
  }
  return 0;
}
