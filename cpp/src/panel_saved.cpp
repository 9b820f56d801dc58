#include "detail/saved.hpp"
#include "detail/settings_json.hpp"

namespace memoa {
namespace {

using detail::Json;
using detail::json_text;
using detail::Members;
using detail::reader_of;
using detail::StateArray;
using detail::StateReader;
using detail::StateWriter;

template <class Settings, class Visit>
void visit_settings(Settings& s, const Visit& visit) {
  visit("n_clients", s.n_clients);
  visit("n_inputs", s.n_inputs);
  visit("n_outputs", s.n_outputs);
  visit("pooling", s.pooling);
  visit("ridge", s.ridge);
  visit("learned", s.learned);
  visit("consensus", s.consensus);
  visit("forgetting", s.forgetting);
  visit("seed", s.seed);
}

std::string settings_text(const PanelSettings& s, const char* dtype) {
  Members members;
  members("dtype", json_text(std::string(dtype)));
  visit_settings(s, members.visit());
  const auto kind = static_cast<std::size_t>(s.aggregate);
  members("aggregate", json_text(std::string(detail::kAggregates[kind])));
  members("encoder", detail::encoder_text(s.encoder));
  members("n_threads", std::to_string(s.n_threads));
  if (s.delay > 0) members("delay", std::to_string(s.delay));
  if (s.shard.total > 0) {  // clients of one of several processes
    members("first", std::to_string(s.shard.first));
    members("total", std::to_string(s.shard.total));
  }
  return members.object();
}

PanelSettings read_settings(const Json& json, int n_threads) {
  PanelSettings s;
  visit_settings(s, reader_of(json));
  const std::string& aggregate = json.at("aggregate").as_string("aggregate");
  s.aggregate =
      static_cast<Aggregate>(detail::place_of(detail::kAggregates, aggregate, "aggregate"));
  s.encoder = detail::read_encoder(json.at("encoder"));
  const auto saved = json.at("n_threads").as_integer("n_threads", 0, detail::kMostThreads);
  s.n_threads = n_threads < 0 ? static_cast<int>(saved) : n_threads;
  if (json.find("delay") != nullptr) reader_of(json)("delay", s.delay);
  if (json.find("total") != nullptr) {
    const auto read = reader_of(json);
    read("first", s.shard.first), read("total", s.shard.total);
  }
  validate(s);
  return s;
}

template <class Field>
constexpr bool kIsNumber = std::is_arithmetic_v<std::decay_t<Field>>;

/// The sizes in the file are right, those in the settings may be wrong: nothing is allocated from
/// the settings before both were compared.
PanelMemory read_memory(StateReader& reader, const PanelSettings& settings) {
  const Json& numbers = reader.header().at("numbers");
  for (const Index size : {settings.n_clients, settings.n_inputs, settings.n_outputs,
                           settings.delay, n_features(settings.encoder, settings.n_inputs)})
    if (size > (Index{1} << 40)) throw std::invalid_argument("a size is too large");
  PanelMemory memory;
  auto next = reader.arrays().begin();
  visit_fields(memory, settings, [&](const char* name, auto& field, const Shape& shape) {
    if constexpr (kIsNumber<decltype(field)>) {
      reader_of(numbers)(name, field);
    } else {
      const StateArray expected{name, "<f8", {shape.begin(), shape.end()}};
      if (next == reader.arrays().end() || next->name != expected.name ||
          next->shape != expected.shape)
        throw std::invalid_argument(std::string("the array '") + name +
                                    "' is missing, or not of the size that the settings make it");
      reader.open(expected);
      field.resize(static_cast<std::size_t>(expected.size()));
      reader.read(field.data(), field.size());
      ++next;
    }
  });
  return memory;
}

constexpr const char* kWaiting = "waiting";  // inputs of the forecast that is not learnt yet

template <class Real>
SavedPanel restored(const PanelSettings& settings, const PanelMemory& memory,
                    std::vector<double> waiting, const std::string& header) {
  BasicPanel<Real> panel(settings);
  panel.restore(memory);
  if (!waiting.empty() && settings.shard.total == 0) {  // a part cannot forecast alone
    const std::vector<Real> x(waiting.begin(), waiting.end());
    std::vector<double> forecasts(memory.base.size());
    panel.predict(x.data(), forecasts.data());
  }
  return {std::move(panel), std::move(waiting), header};
}

SavedPanel read_all(StateReader& reader, int n_threads) {
  const Json& header = reader.header();
  if (header.at("kind").as_string("kind") != "Panel")
    throw std::invalid_argument("it holds something else than a Panel");
  const PanelSettings settings = read_settings(header.at("settings"), n_threads);
  const std::string& dtype = header.at("settings").at("dtype").as_string("dtype");
  if (dtype != "<f4" && dtype != "<f8") throw std::invalid_argument("dtype is unknown");
  const PanelMemory memory = read_memory(reader, settings);
  const auto& inputs = memory.inputs.empty() ? memory.pending : memory.inputs;
  std::vector<double> waiting =
      detail::read_pending(reader, kWaiting, static_cast<std::int64_t>(inputs.size()));
  reader.finish();
  return dtype == "<f4"
             ? restored<float>(settings, memory, std::move(waiting), reader.header_text())
             : restored<double>(settings, memory, std::move(waiting), reader.header_text());
}

}  // namespace

template <class Real>
void save(const std::string& path, const BasicPanel<Real>& panel,
          const std::vector<double>& pending, const std::string& note) {
  Json::parse(note);  // throws if the header would not be JSON
  const PanelMemory memory = panel.memory();
  Members header, numbers;
  std::vector<StateArray> arrays;
  visit_fields(memory, panel, [&](const char* name, const auto& field, const Shape& shape) {
    if constexpr (kIsNumber<decltype(field)>)
      numbers.visit()(name, field);
    else
      arrays.push_back({name, "<f8", {shape.begin(), shape.end()}});
  });
  arrays.push_back({kWaiting, "<f8", {static_cast<std::int64_t>(pending.size())}});
  header("kind", json_text(std::string("Panel")));
  header("settings", settings_text(panel.settings(), std::is_same_v<Real, float> ? "<f4" : "<f8"));
  header("numbers", numbers.object());
  header("note", note);
  StateWriter writer(path, header.text(), std::move(arrays));
  visit_fields(memory, panel, [&](const char*, const auto& field, const Shape&) {
    if constexpr (!kIsNumber<decltype(field)>) writer.write(field.data(), field.size());
  });
  writer.write(pending.data(), pending.size());
  writer.commit();
}

SavedPanel detail::read_panel(StateReader& reader, int n_threads) {
  try {
    return read_all(reader, n_threads);
  } catch (const std::invalid_argument& error) {
    if (std::string(error.what()).rfind(reader.path() + ": ", 0) == 0) throw;
    reader.refuse(error.what());
  }
}

SavedPanel load_panel(const std::string& path, int n_threads) {
  StateReader reader(path);
  return detail::read_panel(reader, n_threads);
}

template void save(const std::string&, const Panel&, const std::vector<double>&,
                   const std::string&);
template void save(const std::string&, const PanelF32&, const std::vector<double>&,
                   const std::string&);

}  // namespace memoa
