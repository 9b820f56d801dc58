#include "memoa/simulation.hpp"

#include <pybind11/stl.h>

#include "arrays.hpp"

namespace memoa::python {

void bind_simulation(py::module_& module) {
  using py::arg;
  py::class_<Simulation>(module, "Simulation")
      .def_property_readonly("cost",
                             [](py::object self) {
                               const Simulation& s = self.cast<const Simulation&>();
                               return view(s.cost, {static_cast<Index>(s.cost.size())}, self);
                             })
      .def_property_readonly("mean_path",
                             [](py::object self) {
                               const Simulation& s = self.cast<const Simulation&>();
                               const auto size = static_cast<Index>(s.mean_path.size());
                               return view(s.mean_path, {s.stages, size / s.stages}, self);
                             })
      .def_readonly("type_sizes", &Simulation::type_sizes)
      .def_readonly("mean_cost", &Simulation::mean_cost)
      .def_readonly("worst_cost", &Simulation::worst_cost)
      .def_readonly("worst_agent", &Simulation::worst_agent);

  module.def(
      "simulate",
      [](const std::vector<Game>& games, const std::vector<Policy>& policies,
         const std::vector<double>& shares, Index n_agents, const Array& mean, const Array& cov,
         std::uint64_t seed, bool limit, int n_threads, const std::optional<Shard>& shard) {
        py::gil_scoped_release release;  // safe: games and policies are copies, arrays are held
        return simulate(games, policies, shares, to_vector(mean), to_vector(cov),
                        {n_agents, seed, limit ? MeanField::limit : MeanField::empirical, n_threads,
                         shard.value_or(Shard{})});
      },
      arg("games"), arg("policies"), arg("shares"), arg("n_agents"), py::kw_only(),
      arg("mean").noconvert(), arg("cov").noconvert(), arg("seed"), arg("limit"), arg("n_threads"),
      arg("shard") = py::none());
}

}  // namespace memoa::python
