#include "detail/population_records.hpp"

#include <variant>

#include "detail/encoding.hpp"

namespace memoa::detail {
namespace {

Record record_of(Features features, Index p, Index d, Index dx) {
  Record r{};
  r.p = p, r.d = d, r.dx = dx;
  r.features = features;
  const bool echo = features == Features::echo;
  const auto place = [&](Index& first, Index rows) { first = r.rows, r.rows += rows; };
  place(r.gram, packed_size(p));
  place(r.cross, d * p);
  const bool draws = dx > 0 && features != Features::linear;
  place(r.input, draws ? p * dx : 0);
  place(r.bias, draws ? p : 0);
  place(r.recurrent, echo ? p * p : 0);
  place(r.reservoir, echo ? p : 0);
  place(r.pending, echo || dx == 0 ? p : 0);
  return r;
}

/// The values of the types, one row of lanes for each phase of the blocks.
template <class Real>
Buffer<Real> by_type(const std::vector<double>& values, Index n_types, Index first) {
  const auto n_values = static_cast<Index>(values.size());
  Buffer<Real> rows(n_types * kLanes<Real>);
  for (Index agent = 0; agent < rows.size(); ++agent)
    rows.data()[agent] = static_cast<Real>(values[(first + agent) % n_types % n_values]);
  return rows;
}

Index n_types(const PopulationSettings& s) {
  return static_cast<Index>(std::max(s.forgetting.size(), s.ridge.size()));
}

}  // namespace

template <class Real>
Layout<Real>::Layout(const PopulationSettings& s)
    : N(s.n_agents),
      d(s.n_outputs),
      p(n_features(s.encoder, s.n_inputs)),
      dx(std::holds_alternative<Precomputed>(s.encoder) ? 0 : s.n_inputs),
      first(s.shard.first),
      total(s.total()),
      padded((N + 2 * kLanes - 1) / (2 * kLanes) * 2 * kLanes),
      chunks((N + kChunkAgents - 1) / kChunkAgents),
      n_threads(resolve_threads(s.n_threads)),
      record(record_of(features_of(s.encoder), p, d, dx)) {}

template <class Real>
Records<Real>::Records(const PopulationSettings& s, const Layout<Real>& layout)
    : layout_(layout),
      numbers_(layout.padded * layout.record.rows),
      forgetting_(by_type<Real>(s.forgetting, n_types(s), layout.first)),
      ridge_(by_type<Real>(s.ridge, n_types(s), layout.first)) {}

template <class Real>
Types<Real> Records<Real>::types() const {
  Types<Real> types;
  types.forgetting = forgetting_.data();
  types.ridge = ridge_.data();
  types.phases = ridge_.size() / kLanes;
  return types;
}

template <class Real>
void Records<Real>::draw(const PopulationSettings& s, Index first, Index last) {
  const Record& r = layout_.record;
  std::fill(&at(0, first), &at(0, first) + (last - first) * r.rows, Real(0));
  if (layout_.dx == 0) return;
  const auto* random = std::get_if<RandomFeatures>(&s.encoder);
  // relu scales with its input: its weights carry the norm of the features
  const double norm = r.features == Features::relu ? feature_norm(s.encoder, layout_.p) : 1.0;
  const double scale = norm * (random ? random->scale : 1.0);
  for (Index agent = first; agent < std::min(last, layout_.N); ++agent) {
    const EncoderWeights drawn = draw_weights(
        s.encoder, s.seed, static_cast<std::uint64_t>(layout_.first + agent), layout_.dx);
    scatter(drawn.input, scale, r.input, agent);
    scatter(drawn.bias, norm, r.bias, agent);
    scatter(drawn.reservoir, 1.0, r.recurrent, agent);
  }
}

template <class Real>
void Records<Real>::scatter(const std::vector<double>& values, double scale, Index row,
                            Index agent) {
  for (const double value : values) at(row++, agent) = static_cast<Real>(scale * value);
}

template struct Layout<double>;
template struct Layout<float>;
template class Records<double>;
template class Records<float>;

}  // namespace memoa::detail
