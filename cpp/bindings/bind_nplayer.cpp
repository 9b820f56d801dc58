#include "memoa/nplayer.hpp"

#include "arrays.hpp"
#include "constructor.hpp"

namespace memoa::python {
namespace {

/// The part of player i in an array whose first axis counts the players.
std::vector<double> part(const Array& array, Index i) {
  const py::ssize_t size = array.size() / array.shape(0);
  return {array.data() + i * size, array.data() + (i + 1) * size};
}

}  // namespace

void bind_nplayer(py::module_& module) {
  using py::arg;
  py::class_<NPlayerGame>(module, "NPlayerGame")
      .def("__init__",
           constructor<NPlayerGame>(
               [](const Array& feature_mean, const Array& feature_cov, const Array& target,
                  const Array& tracking, const Array& coupling, const Array& effort,
                  const Array& discount, const Array& transition, const Array& mean_transition,
                  const Array& drift, const Array& server_weights, double server_tracking,
                  const Array& server_target) {
                 NPlayerData data;
                 const Index N = feature_mean.shape(0), T = feature_mean.shape(1),
                             d = feature_mean.shape(2), p = feature_mean.shape(3);
                 for (Index i = 0; i < N; ++i) {
                   GameData player;
                   player.horizon = T;
                   player.n_outputs = d;
                   player.n_features = p;
                   player.effort = effort.data()[i];
                   player.feature_mean = part(feature_mean, i);
                   player.feature_cov = part(feature_cov, i);
                   player.target = part(target, i);
                   player.tracking = part(tracking, i);
                   player.coupling = part(coupling, i);
                   player.discount = part(discount, i);
                   player.transition = part(transition, i);
                   player.mean_transition = part(mean_transition, i);
                   player.drift = part(drift, i);
                   try {
                     data.players.push_back(Game(std::move(player)));
                   } catch (const std::invalid_argument& error) {
                     throw std::invalid_argument("player " + std::to_string(i) + ": " +
                                                 error.what());
                   }
                 }
                 data.server_weights = to_vector(server_weights);
                 data.server_tracking = server_tracking;
                 data.server_target = to_vector(server_target);
                 return NPlayerGame(std::move(data));
               }),
           kConstructor, py::kw_only(), arg("feature_mean").noconvert(),
           arg("feature_cov").noconvert(), arg("target").noconvert(), arg("tracking").noconvert(),
           arg("coupling").noconvert(), arg("effort").noconvert(), arg("discount").noconvert(),
           arg("transition").noconvert(), arg("mean_transition").noconvert(),
           arg("drift").noconvert(), arg("server_weights").noconvert(), arg("server_tracking"),
           arg("server_target").noconvert());

  py::class_<CentralizedPolicy>(module, "CentralizedPolicy")
      .def_property_readonly(
          "gain",
          [](py::object self) {
            const auto& p = self.cast<const CentralizedPolicy&>();
            return view(p.gain, {p.horizon, p.n_players, p.n_features, p.n_players * p.n_outputs},
                        self);
          })
      .def_property_readonly("offset",
                             [](py::object self) {
                               const auto& p = self.cast<const CentralizedPolicy&>();
                               return view(p.offset, {p.horizon, p.n_players, p.n_features}, self);
                             })
      .def_readonly("rcond", &CentralizedPolicy::rcond);

  module.def(
      "solve_centralized_nash",
      [](const NPlayerGame& game, int n_threads) {
        py::gil_scoped_release release;  // safe: the game never changes and the caller holds it
        return solve_centralized_nash(game, n_threads);
      },
      arg("game"), py::kw_only(), arg("n_threads"));
}

}  // namespace memoa::python
