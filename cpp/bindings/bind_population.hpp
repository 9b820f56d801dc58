#pragma once

#include "arrays.hpp"
#include "bind_mixture.hpp"
#include "memoa/population.hpp"

namespace memoa::python {

using LockedPopulation = Locked<Population, PopulationF32>;

inline const PopulationSettings& settings_of(const LockedPopulation& population) {
  return population.look(
      [](const auto& engine) -> const PopulationSettings& { return engine.settings(); });
}

/// Expected shape of one step's input.
inline Shape input_shape(const PopulationSettings& s) {
  if (takes_features(s)) return {s.n_agents, n_features(s)};
  return {s.n_inputs};
}

/// body(population, server, both) of one precision, without the GIL; `both` holds the two locks.
template <class Body>
void compute(LockedPopulation& self, LockedMixture& mixture, const Body& body) {
  py::gil_scoped_release release;  // safe: as in Locked::compute
  std::unique_lock first(self.mutex, std::defer_lock), second(mixture.mutex, std::defer_lock);
  struct {
    std::unique_lock<Mutex>&a, &b;
    void lock() { std::lock(a, b); }
    void unlock() { a.unlock(), b.unlock(); }
  } both{first, second};
  both.lock();
  std::visit(
      [&](auto& population) {
        using Server = std::conditional_t<std::is_same_v<decltype(population), Population&>,
                                          ServerMixture, ServerMixtureF32>;
        auto* server = std::get_if<Server>(&mixture.engine);
        if (server == nullptr)
          throw std::invalid_argument("mixture and population are of different precision");
        body(population, *server, both);
      },
      self.engine);
}

}  // namespace memoa::python
