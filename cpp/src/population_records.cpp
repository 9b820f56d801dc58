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

/// The values of a setting for the agents of each group, by type; see Records.
template <class Real>
Buffer<Real> by_type(const std::vector<double>& values, Index n_types, const Layout<Real>& layout) {
  const auto n_values = static_cast<Index>(values.size()), size = 2 * n_types * kLanes<Real>;
  Buffer<Real> rows(static_cast<Index>(layout.groups.size()) * size);
  Real* row = rows.data();
  for (const Group& group : layout.groups)
    for (Index k = 0; k < size; ++k) {
      const Index agent = layout.first + group.first + k * group.step;
      *row++ = static_cast<Real>(values[agent % n_types % n_values]);
    }
  return rows;
}

Index n_types(const PopulationSettings& s) {
  return static_cast<Index>(std::max(s.forgetting.size(), s.ridge.size()));
}

/// n rounded up to whole pairs of blocks.
template <class Real>
Index padded_to_blocks(Index n) {
  constexpr Index kPair = 2 * kLanes<Real>;
  return (n + kPair - 1) / kPair * kPair;
}
Index chunks_of(Index n) { return (n + kChunkAgents - 1) / kChunkAgents; }

template <class Real>
Index rows_of(const Layout<Real>& layout) {
  const Group& last = layout.groups.back();
  return last.place + last.padded * last.record.rows;
}

}  // namespace

template <class Real>
Layout<Real>::Layout(const PopulationSettings& s)
    : N(s.n_agents),
      d(s.n_outputs),
      p(n_features(s)),
      dx(takes_features(s) ? 0 : s.n_inputs),
      encoded(dx > 0 ? n_encoded(s) : 0),
      first(s.shard.first),
      total(s.total()),
      padded(padded_to_blocks<Real>(N)),
      chunks(chunks_of(N)),
      n_threads(resolve_threads(s.n_threads)) {
  const auto n_groups = static_cast<Index>(s.encoder.size());
  Index place = 0;
  for (Index k = 0; k < n_groups; ++k) {
    Group g{};
    g.encoder = s.encoder[static_cast<std::size_t>(k)];
    g.first = (k + n_groups - first % n_groups) % n_groups, g.step = n_groups;
    g.n = (std::max(N - g.first, Index{0}) + n_groups - 1) / n_groups;
    g.padded = padded_to_blocks<Real>(g.n), g.chunks = chunks_of(g.n);
    g.record = record_of(g.encoder, n_features(g.encoder, encoded), d, encoded);
    g.place = place;
    place += g.padded * g.record.rows;
    groups.push_back(std::move(g));
  }
}

template <class Real>
Records<Real>::Records(const PopulationSettings& s, const Layout<Real>& layout)
    : layout_(layout),
      numbers_(rows_of(layout)),
      n_types_(n_types(s)),
      forgetting_(by_type<Real>(s.forgetting, n_types_, layout)),
      ridge_(by_type<Real>(s.ridge, n_types_, layout)) {}

template <class Real>
Types<Real> Records<Real>::types(const Group& group, Index chunk) const {
  const Index number = &group - layout_.groups.data(),
              phase = chunk * kChunkAgents / kLanes % n_types_,
              row = (number * 2 * n_types_ + phase) * kLanes;
  return {forgetting_.data() + row, ridge_.data() + row, n_types_};
}

template <class Real>
void Records<Real>::draw(const PopulationSettings& s, const Group& group, Index first, Index last) {
  const Record& r = group.record;
  std::fill(&at(group, 0, first), &at(group, 0, first) + (last - first) * r.rows, Real(0));
  if (layout_.dx == 0) return;
  const auto* random = std::get_if<RandomFeatures>(&group.encoder);
  const WeightScale scale = weight_scale(r.features, feature_norm(group.encoder, r.p));
  const double input_scale = scale.factor * (random ? random->scale : 1.0);
  const Index n_own = r.dx > layout_.dx ? layout_.dx : 0;
  for (Index agent = first; agent < std::min(last, group.n); ++agent) {
    const Index number = layout_.first + group.first + agent * group.step;
    const EncoderWeights drawn =
        draw_weights(group.encoder, s.seed, static_cast<std::uint64_t>(number), r.dx, n_own);
    scatter(drawn.raw, {}, group, r.raw, agent);
    scatter(drawn.columns, {}, group, r.columns, agent);
    scatter(drawn.input, {input_scale}, group, r.input, agent);
    scatter(drawn.bias, scale, group, r.bias, agent);
    scatter(drawn.reservoir, {}, group, r.recurrent, agent);
  }
}

template <class Real>
template <class Number>
void Records<Real>::scatter(const std::vector<Number>& values, const WeightScale& scale,
                            const Group& group, Index row, Index agent) {
  for (const Number value : values)
    at(group, row++, agent) =
        static_cast<Real>(scale.factor * static_cast<double>(value) + scale.shift);
}

template struct Layout<double>;
template struct Layout<float>;
template class Records<double>;
template class Records<float>;

}  // namespace memoa::detail
