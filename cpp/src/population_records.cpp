#include "detail/population_records.hpp"

#include <variant>

#include "detail/encoding.hpp"

namespace memoa::detail {
namespace {

Record record_of(const Encoder& encoder, Index p, Index d, Index dx) {
  const Features features = features_of(encoder);
  const auto* random = std::get_if<RandomFeatures>(&encoder);
  Record r{};
  r.p = p, r.d = d, r.dx = dx;
  r.features = features;
  r.plain = n_plain(encoder, dx), r.row_size = row_size(encoder, dx);
  r.sparse = random && random->n_columns > 0;
  const bool echo = features == Features::echo;
  const auto place = [&](Index& first, Index rows) { first = r.rows, r.rows += rows; };
  place(r.gram, packed_size(p));
  place(r.cross, d * p);
  const bool draws = dx > 0 && features != Features::linear;
  const Index q = draws ? p - r.plain : 0;
  place(r.raw, r.plain > 0 ? r.plain - 1 : 0);
  place(r.columns, r.sparse ? q * r.row_size : 0);
  place(r.input, q * r.row_size);
  place(r.bias, q);
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
      p(n_features(s.encoder, n_encoded(s))),
      dx(std::holds_alternative<Precomputed>(s.encoder) ? 0 : s.n_inputs),
      first(s.shard.first),
      total(s.total()),
      padded((N + 2 * kLanes - 1) / (2 * kLanes) * 2 * kLanes),
      chunks((N + kChunkAgents - 1) / kChunkAgents),
      n_threads(resolve_threads(s.n_threads)),
      record(record_of(s.encoder, p, d, dx > 0 ? n_encoded(s) : 0)) {}

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
  const WeightScale scale = weight_scale(r.features, feature_norm(s.encoder, layout_.p));
  const double input_scale = scale.factor * (random ? random->scale : 1.0);
  const Index n_own = r.dx > layout_.dx ? layout_.dx : 0;
  for (Index agent = first; agent < std::min(last, layout_.N); ++agent) {
    const EncoderWeights drawn = draw_weights(
        s.encoder, s.seed, static_cast<std::uint64_t>(layout_.first + agent), r.dx, n_own);
    scatter(drawn.raw, {}, r.raw, agent);
    scatter(drawn.columns, {}, r.columns, agent);
    scatter(drawn.input, {input_scale}, r.input, agent);
    scatter(drawn.bias, scale, r.bias, agent);
    scatter(drawn.reservoir, {}, r.recurrent, agent);
  }
}

template <class Real>
template <class Number>
void Records<Real>::scatter(const std::vector<Number>& values, const WeightScale& scale, Index row,
                            Index agent) {
  for (const Number value : values)
    at(row++, agent) = static_cast<Real>(scale.factor * static_cast<double>(value) + scale.shift);
}

template struct Layout<double>;
template struct Layout<float>;
template class Records<double>;
template class Records<float>;

}  // namespace memoa::detail
