#include "memoa/saved.hpp"

#include "detail/memory.hpp"
#include "detail/mixture_state.hpp"
#include "detail/population_state.hpp"
#include "detail/saved.hpp"
#include "detail/settings_json.hpp"
#include "detail/stream_memory.hpp"

namespace memoa {
namespace {

using detail::Inside;
using detail::Json;
using detail::json_text;
using detail::kAggregates;
using detail::kMostThreads;
using detail::Members;
using detail::place_of;
using detail::reader_of;
using detail::StateArray;
using detail::StateReader;
using detail::StateWriter;

// ------------------------------------------------- settings: one list to write and to read them

template <class Settings, class Visit>
void visit_settings(Settings& s, const Visit& visit) {
  visit("n_agents", s.n_agents);
  visit("n_inputs", s.n_inputs);
  visit("n_outputs", s.n_outputs);
  visit("consensus", s.consensus);
  visit("effort", s.effort);
  visit("horizon", s.horizon);
  visit("discount", s.discount);
  visit("forgetting", s.forgetting);
  visit("ridge", s.ridge);
  visit("seed", s.seed);
}

/// Settings that files of the first version do not have.
template <class Settings, class Visit>
void visit_newer_settings(Settings& s, const Visit& visit) {
  visit("lags", s.past.lags);
  visit("season", s.past.season);
  visit("bounded", s.bounded);
  visit("delay", s.past.delay);
}

template <class Mixture, class Visit>
void visit_mixture(Mixture& m, const Visit& visit) {
  visit("window", m.window);
  visit("decay", m.decay);
  visit("ridge", m.ridge);
  visit("total", m.total);
  visit("absolute", m.absolute);
  visit("fallback", m.fallback);
}

template <class Mixture, class Visit>
void visit_newer_mixture(Mixture& m, const Visit& visit) {
  visit("rivals", m.rivals);
  visit("season", m.season);
  visit("start", m.start);
  visit("delay", m.delay);
}

std::string settings_text(const PopulationSettings& s, const char* dtype) {
  Members members;
  members("dtype", json_text(std::string(dtype)));
  visit_settings(s, members.visit());
  visit_newer_settings(s, members.visit());
  members("policy", s.policy == PolicyKind::greedy ? "\"greedy\"" : "\"memoa\"");
  members("aggregate", json_text(std::string(kAggregates[static_cast<std::size_t>(s.aggregate)])));
  members("follow", json_text(std::string(detail::kFollows[static_cast<std::size_t>(s.follow)])));
  members("encoder", detail::encoders_text(s.encoder));
  members("n_threads", std::to_string(s.n_threads));
  if (s.shard.total > 0) {  // the agents of one of several processes
    members("first", std::to_string(s.shard.first));
    members("total", std::to_string(s.shard.total));
  }
  return members.object();
}

PopulationSettings read_settings(const Json& json, int n_threads) {
  PopulationSettings s;
  s.past = {}, s.bounded = false;  // the meaning of files of the first version
  visit_settings(s, reader_of(json));
  visit_newer_settings(s, detail::optional_reader_of(json));
  const std::string& policy = json.at("policy").as_string("policy");
  if (policy != "memoa" && policy != "greedy") throw std::invalid_argument("policy is unknown");
  s.policy = policy == "greedy" ? PolicyKind::greedy : PolicyKind::memoa;
  s.aggregate = static_cast<Aggregate>(
      place_of(kAggregates, json.at("aggregate").as_string("aggregate"), "aggregate"));
  s.follow = Follow::mean;  // files from before it was saved
  if (const Json* follow = json.find("follow"))
    s.follow =
        static_cast<Follow>(place_of(detail::kFollows, follow->as_string("follow"), "follow"));
  s.encoder = detail::read_encoders(json.at("encoder"));
  const auto saved = json.at("n_threads").as_integer("n_threads", 0, kMostThreads);
  s.n_threads = n_threads < 0 ? static_cast<int>(saved) : n_threads;
  if (json.find("total") != nullptr) {
    const auto read = reader_of(json);
    read("first", s.shard.first), read("total", s.shard.total);
  }
  validate(s);
  return s;
}

// ------------------------------------------------- memories

template <class Number>
constexpr bool kIsNumber = std::is_arithmetic_v<std::decay_t<Number>>;

/// The numbers of an engine's memory, and its arrays with their dtypes.
template <class Engine>
std::vector<StateArray> arrays_of(const Engine& engine, const std::string& owner) {
  typename Engine::Memory memory;
  std::vector<const char*> types;
  std::vector<StateArray> arrays;
  Inside::of(engine).exchange(memory, detail::ListTypes(types));
  visit_fields(memory, engine, [&](const char* name, const auto& field, const Shape& shape) {
    if constexpr (!kIsNumber<decltype(field)>)
      arrays.push_back({owner + name, types.at(arrays.size()),
                        std::vector<std::int64_t>(shape.begin(), shape.end())});
  });
  return arrays;
}

template <class Engine>
void write_numbers(const Engine& engine, const std::string& owner, Members& numbers) {
  typename Engine::Memory memory;
  Inside::of(engine).exchange(memory, detail::SaveNumbers());
  visit_fields(memory, engine, [&](const char* name, const auto& field, const Shape&) {
    if constexpr (kIsNumber<decltype(field)>) numbers.visit()((owner + name).c_str(), field);
  });
}

void check(const PopulationMemory& memory, const PopulationSettings&) {
  detail::check_numbers(memory);
}
void check(const MixtureMemory& memory, const Mixture& mixture) {
  detail::check_numbers(memory, mixture.window);
}

/// Fills a new engine from the arrays and numbers of a file.
template <class Engine>
void fill(Engine& engine, const std::string& owner, const Json& numbers, StateReader& reader) {
  typename Engine::Memory memory;
  const auto read = reader_of(numbers);
  visit_fields(memory, engine, [&](const char* name, auto& field, const Shape&) {
    if constexpr (kIsNumber<decltype(field)>) read((owner + name).c_str(), field);
  });
  check(memory, engine.settings());
  const std::vector<StateArray> arrays = arrays_of(engine, owner);
  auto next = arrays.begin();
  const auto open_next = [&] { reader.open(*next++); };
  Inside::of(engine).exchange(memory, detail::LoadArrays(reader, open_next));
  Inside::of(engine).refresh();
}

/// Checks the sizes of the arrays in the header against the settings, before the engine, which
/// allocates memory of these sizes, is created.
void require_arrays(const StateReader& reader, const PopulationSettings& s, const Mixture& m) {
  const auto size_of = [&](const char* name) -> std::uint64_t {
    for (const StateArray& array : reader.arrays())
      if (array.name == name) return array.size();
    throw std::invalid_argument(std::string("the array '") + name + "' is missing");
  };
  // Two factors instead of a product, which could overflow. The sizes of the file's arrays can be
  // trusted: they were compared with its length.
  const auto require = [&](const char* name, Index rows, Index columns) {
    const std::uint64_t size = size_of(name);
    const auto r = static_cast<std::uint64_t>(rows), c = static_cast<std::uint64_t>(columns);
    if (r == 0 || c == 0 ? size != 0 : (size % r != 0 || size / r != c))
      throw std::invalid_argument(std::string("the array '") + name + "' has " +
                                  std::to_string(size) + " numbers; its settings make it " +
                                  std::to_string(rows) + " x " + std::to_string(columns));
  };
  const Index p = n_features(s);
  require("population.base", s.n_outputs, 1);
  require("population.costs", s.n_agents, 1);
  require("population.increments", s.n_agents, s.n_outputs);
  const std::uint64_t gram = size_of("population.gram") / static_cast<std::uint64_t>(s.n_agents);
  if (static_cast<std::uint64_t>(p) > gram)
    throw std::invalid_argument("n_features is " + std::to_string(p) +
                                ", more than the array 'population.gram' has numbers of an agent");
  require("population.standardiser", takes_features(s) ? 0 : s.n_inputs, Coordinate::kNumbers);
  if (remembers(s) && size_of("population.past") / static_cast<std::uint64_t>(s.n_outputs) <
                          static_cast<std::uint64_t>(s.past.lags))
    throw std::invalid_argument("lags is " + std::to_string(s.past.lags) +
                                ", more than the array 'population.past' has increments");
  for (const StateArray& array : reader.arrays())
    if (array.name == "population.sleep") require("population.sleep", s.n_agents, 2);
  if (s.past.delay > 0) {
    require("population.waiting_steps", s.past.delay + 1, waiting_size(s));
    require("population.waiting_agents", s.n_agents, (s.past.delay + 1) * 3 * s.n_outputs);
  }
  require("mixture.targets", m.window, s.n_outputs);
  const std::uint64_t rows = size_of("mixture.targets");
  if (rows > 0) require("mixture.errors", static_cast<Index>(rows), s.n_agents);
}

template <class Real>
SavedEngines<Real> read_engines(StateReader& reader, const PopulationSettings& settings,
                                const Mixture& mixture) {
  SavedEngines<Real> engines{
      BasicPopulation<Real>(settings),
      BasicServerMixture<Real>(settings.n_agents, settings.n_outputs, mixture, settings.n_threads)};
  Inside::of(engines.mixture).is_part = settings.shard.total > 0;
  const Json& numbers = reader.header().at("numbers");
  for (const StateArray& array : reader.arrays()) {
    if (array.name != "population.sleep") continue;
    Inside::of(engines.population).reserve_sleep(1);
    Inside::of(engines.population).awaits_sleep = true;
  }
  fill(engines.population, "population.", numbers, reader);
  fill(engines.mixture, "mixture.", numbers, reader);
  return engines;
}

template <class Real>
Saved read_all(StateReader& reader, const PopulationSettings& settings, const Mixture& mixture) {
  Saved saved{read_engines<Real>(reader, settings, mixture), {}, reader.header_text()};
  auto& engines = std::get<SavedEngines<Real>>(saved.engines);
  saved.pending = detail::read_pending(reader, "pending", Inside::of(engines.population).width());
  reader.finish();
  // One of several parts can only forecast together with the others.
  if (!saved.pending.empty() && settings.shard.total == 0) {
    std::vector<double> forecast(static_cast<std::size_t>(settings.n_outputs));
    const auto awake = Inside::of(engines.population).present();
    predict(engines.population, engines.mixture, saved.pending.data(), forecast.data(),
            awake.empty() ? nullptr : awake.data());
  }
  return saved;
}

}  // namespace

Saved detail::read_saved(StateReader& reader, int n_threads) {
  try {
    const Json& header = reader.header();
    if (header.at("kind").as_string("kind") != "OnlineEnsemble")
      throw std::invalid_argument("it holds something else than an OnlineEnsemble");
    const PopulationSettings settings = read_settings(header.at("settings"), n_threads);
    Mixture mixture;
    mixture.rivals = false, mixture.season = mixture.start = 0;
    visit_mixture(mixture, reader_of(header.at("mixture")));
    visit_newer_mixture(mixture, detail::optional_reader_of(header.at("mixture")));
    validate(mixture);
    require_arrays(reader, settings, mixture);
    const std::string& dtype = header.at("settings").at("dtype").as_string("dtype");
    if (dtype == "<f4") return read_all<float>(reader, settings, mixture);
    if (dtype == "<f8") return read_all<double>(reader, settings, mixture);
    throw std::invalid_argument("dtype is unknown");
  } catch (const std::invalid_argument& error) {
    if (std::string(error.what()).rfind(reader.path() + ": ", 0) == 0) throw;
    reader.refuse(error.what());
  }
}

template <class Real>
void save(const std::string& path, const BasicPopulation<Real>& population,
          const BasicServerMixture<Real>& mixture, const std::vector<double>& pending,
          const std::string& note) {
  Json::parse(note);  // throws if it is not JSON
  const char* dtype = std::is_same_v<Real, float> ? "<f4" : "<f8";
  Inside::of(population).others.require_whole();
  Inside::of(mixture).require_own();
  Inside::of(population).settle();
  Members header, numbers, server;
  write_numbers(population, "population.", numbers);
  write_numbers(mixture, "mixture.", numbers);
  std::vector<StateArray> arrays = arrays_of(population, "population.");
  for (StateArray& array : arrays_of(mixture, "mixture.")) arrays.push_back(std::move(array));
  arrays.push_back({"pending", "<f8", {static_cast<std::int64_t>(pending.size())}});
  visit_mixture(mixture.settings(), server.visit());
  visit_newer_mixture(mixture.settings(), server.visit());
  header("kind", json_text(std::string("OnlineEnsemble")));
  header("settings", settings_text(population.settings(), dtype));
  header("mixture", server.object());
  header("numbers", numbers.object());
  header("note", note);

  StateWriter writer(path, header.text(), std::move(arrays));
  const detail::SaveArrays move(writer);
  typename BasicPopulation<Real>::Memory of_population;
  typename BasicServerMixture<Real>::Memory of_mixture;
  Inside::of(population).exchange(of_population, move);
  Inside::of(mixture).exchange(of_mixture, move);
  writer.write(pending.data(), pending.size());
  writer.commit();
}

Saved load(const std::string& path, int n_threads) {
  StateReader reader(path);
  return detail::read_saved(reader, n_threads);
}

#define MEMOA_INSTANTIATE(Real)                                                   \
  template void save(const std::string&, const BasicPopulation<Real>&,            \
                     const BasicServerMixture<Real>&, const std::vector<double>&, \
                     const std::string&);
MEMOA_INSTANTIATE(double)
MEMOA_INSTANTIATE(float)
#undef MEMOA_INSTANTIATE

}  // namespace memoa
