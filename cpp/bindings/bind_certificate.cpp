#include "memoa/certificate.hpp"

#include "arrays.hpp"

namespace memoa::python {

void bind_certificate(py::module_& module) {
  using py::arg;
  module.def(
      "certify",
      [](const Game& game, const Policy& policy, Index n_agents, const Array& mean,
         const Array& cov, bool limit) {
        const Index d = game.n_outputs();
        require_shape("mean", mean, {d});
        require_shape("cov", cov, {d, d});
        Certificate found;
        {
          py::gil_scoped_release release;  // safe: games and policies never change, arrays are held
          found = certify(game, policy, n_agents, to_vector(mean), to_vector(cov),
                          limit ? MeanField::limit : MeanField::empirical);
        }
        return py::make_tuple(found.cost, found.best_response_cost, found.exploitability);
      },
      arg("game"), arg("policy"), arg("n_agents"), py::kw_only(), arg("mean").noconvert(),
      arg("cov").noconvert(), arg("limit"));
}

}  // namespace memoa::python
