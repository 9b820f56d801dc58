#include "memoa/game.hpp"

#include "arrays.hpp"
#include "constructor.hpp"
#include "memoa/room.hpp"

namespace memoa::python {

void bind_game(py::module_& module) {
  using py::arg;
  module.def("discount_weights", [](double rate, Index horizon) {
    const std::vector<double> weights = discount_weights(rate, horizon);
    return copy(weights.data(), {horizon});
  });
  module.def("require_game_memory", &require_game_memory);

  // the arrays of a Game are views on its memory, which nothing can change
  const auto field = [](std::vector<double> GameData::*member, auto shape) {
    return [member, shape](py::object self) {
      const Game& game = self.cast<const Game&>();
      return view(game.data().*member, shape(game.horizon(), game.n_outputs(), game.n_features()),
                  self);
    };
  };
  py::class_<Game>(module, "Game")
      .def("__init__",
           constructor<Game>([](Index T, Index d, Index p, const Array& feature_mean,
                                const Array& feature_cov, const Array& target,
                                const Array& tracking, const Array& coupling, double effort,
                                const Array& discount, const Array& transition,
                                const Array& mean_transition, const Array& drift) {
             GameData data;
             data.horizon = T;
             data.n_outputs = d;
             data.n_features = p;
             data.effort = effort;
             data.feature_mean = to_vector(feature_mean);
             data.feature_cov = to_vector(feature_cov);
             data.target = to_vector(target);
             data.tracking = to_vector(tracking);
             data.coupling = to_vector(coupling);
             data.discount = to_vector(discount);
             data.transition = to_vector(transition);
             data.mean_transition = to_vector(mean_transition);
             data.drift = to_vector(drift);
             return Game(std::move(data));
           }),
           kConstructor, py::kw_only(), arg("horizon"), arg("n_outputs"), arg("n_features"),
           arg("feature_mean").noconvert(), arg("feature_cov").noconvert(),
           arg("target").noconvert(), arg("tracking").noconvert(), arg("coupling").noconvert(),
           arg("effort"), arg("discount").noconvert(), arg("transition").noconvert(),
           arg("mean_transition").noconvert(), arg("drift").noconvert())
      .def_property_readonly("feature_mean", field(&GameData::feature_mean,
                                                   [](Index T, Index d, Index p) {
                                                     return Shape{T, d, p};
                                                   }))
      .def_property_readonly("feature_cov", field(&GameData::feature_cov,
                                                  [](Index T, Index d, Index p) {
                                                    return Shape{T, p, d, d};
                                                  }))
      .def_property_readonly("target", field(&GameData::target,
                                             [](Index T, Index d, Index) {
                                               return Shape{T, d};
                                             }))
      .def_property_readonly("tracking", field(&GameData::tracking,
                                               [](Index, Index d, Index) {
                                                 return Shape{d, d};
                                               }))
      .def_property_readonly("coupling", field(&GameData::coupling,
                                               [](Index, Index d, Index) {
                                                 return Shape{d, d};
                                               }))
      .def_property_readonly(
          "discount", field(&GameData::discount, [](Index T, Index, Index) { return Shape{T}; }))
      .def_property_readonly("transition", field(&GameData::transition,
                                                 [](Index T, Index d, Index) {
                                                   return Shape{T, d, d};
                                                 }))
      .def_property_readonly("mean_transition", field(&GameData::mean_transition,
                                                      [](Index T, Index d, Index) {
                                                        return Shape{T, d, d};
                                                      }))
      .def_property_readonly("drift", field(&GameData::drift,
                                            [](Index T, Index d, Index) {
                                              return Shape{T, d};
                                            }))
      .def_property_readonly("effort", &Game::effort);
}

}  // namespace memoa::python
