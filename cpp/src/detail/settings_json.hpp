#pragma once

#include <algorithm>
#include <array>

#include "detail/memory.hpp"
#include "detail/state_file.hpp"
#include "memoa/encoder.hpp"

// Settings as the JSON header of a state file holds them.
namespace memoa::detail {

inline constexpr std::array kActivations = {"relu", "tanh", "cos",
                                            "wave"};  // in the order of Activation
inline constexpr std::array kAggregates = {"mean", "trimmed", "clip"};  // in the order of Aggregate
inline constexpr std::array kFollows = {"server", "mean"};              // in the order of Follow
inline constexpr std::int64_t kMostThreads = 1'000'000;

/// Members of a JSON object.
class Members {
 public:
  void operator()(const char* name, const std::string& json) {
    text_ += (text_.empty() ? "" : ", ") + json_text(std::string(name)) + ": " + json;
  }
  auto visit() {
    return [this](const char* name, const auto& value) {
      using Value = std::decay_t<decltype(value)>;
      if constexpr (std::is_same_v<Value, bool>)
        (*this)(name, std::string(value ? "true" : "false"));
      else if constexpr (std::is_integral_v<Value>)
        (*this)(name, std::to_string(value));
      else
        (*this)(name, json_text(value));
    };
  }
  const std::string& text() const { return text_; }
  std::string object() const { return "{" + text_ + "}"; }

 private:
  std::string text_;
};

/// Reads members of a JSON object into the settings of their names.
inline auto reader_of(const Json& object) {
  return [&object](const char* name, auto& value) {
    using Value = std::decay_t<decltype(value)>;
    const Json& json = object.at(name);
    if constexpr (std::is_same_v<Value, bool>) {
      value = json.as_bool(name);
    } else if constexpr (std::is_same_v<Value, std::uint64_t>) {
      value = json.as_seed(name);
    } else if constexpr (std::is_integral_v<Value>) {
      value = json.as_integer(name, -1, kMostSteps);
    } else if constexpr (std::is_same_v<Value, double>) {
      value = json.as_double(name);
    } else {
      value.clear();
      for (const Json& item : json.as_array(name)) value.push_back(item.as_double(name));
    }
  };
}

/// The same, where those that are missing stay as they are.
inline auto optional_reader_of(const Json& object) {
  return [&object](const char* name, auto& value) {
    if (object.find(name) != nullptr) reader_of(object)(name, value);
  };
}

inline std::string encoder_text(const Encoder& encoder) {
  Members members;
  const auto visit = members.visit();
  if (const auto* random = std::get_if<RandomFeatures>(&encoder)) {
    visit("type", std::string("RandomFeatures"));
    visit("activation", std::string(kActivations[static_cast<std::size_t>(random->activation)]));
    visit("scale", random->scale);
    visit("n_raw", random->n_raw);
    visit("n_columns", random->n_columns);
  } else if (const auto* echo = std::get_if<EchoState>(&encoder)) {
    visit("type", std::string("EchoState"));
    visit("leak", echo->leak);
    visit("radius", echo->radius);
  } else if (std::holds_alternative<Linear>(encoder)) {
    visit("type", std::string("Linear"));
    return members.object();
  } else {
    visit("type", std::string("Precomputed"));
  }
  visit("n_features", n_features(encoder, 0));
  return members.object();
}

/// Where a word stands in its list.
template <class Words>
std::size_t place_of(const Words& words, const std::string& word, const char* name) {
  const auto found = std::find(words.begin(), words.end(), word);
  if (found == words.end()) throw std::invalid_argument(std::string(name) + " is unknown");
  return static_cast<std::size_t>(found - words.begin());
}

inline Encoder read_encoder(const Json& json) {
  const auto read = reader_of(json);
  std::string type = json.at("type").as_string("type");
  if (type == "Linear") return Linear{};
  Index n_features = 0;
  read("n_features", n_features);
  if (type == "Precomputed") return Precomputed{n_features};
  if (type == "EchoState") {
    EchoState echo;
    echo.n_features = n_features;
    read("leak", echo.leak);
    read("radius", echo.radius);
    return echo;
  }
  if (type != "RandomFeatures") throw std::invalid_argument("encoder is of an unknown type");
  RandomFeatures random;
  random.n_features = n_features;
  read("scale", random.scale);
  const auto read_newer = optional_reader_of(json);  // files of the first version have none
  read_newer("n_raw", random.n_raw);
  read_newer("n_columns", random.n_columns);
  random.activation = static_cast<Activation>(
      place_of(kActivations, json.at("activation").as_string("activation"), "activation"));
  return random;
}

/// An object where all agents have one encoder, else a list.
inline std::string encoders_text(const Encoders& encoders) {
  if (encoders.size() == 1) return encoder_text(encoders.front());
  std::string text;
  for (const Encoder& encoder : encoders)
    text += (text.empty() ? "" : ", ") + encoder_text(encoder);
  return "[" + text + "]";
}

inline Encoders read_encoders(const Json& json) {
  if (json.is_object()) return read_encoder(json);
  std::vector<Encoder> encoders;
  for (const Json& one : json.as_array("encoder")) encoders.push_back(read_encoder(one));
  return Encoders(std::move(encoders));
}

/// The x of a forecast that waits for its y.
inline std::vector<double> read_pending(StateReader& reader, const std::string& name,
                                        std::int64_t width) {
  const StateArray& last = reader.arrays().back();  // there are some by now
  if (last.size() != 0 && last.size() != static_cast<std::uint64_t>(width))
    throw std::invalid_argument("the array '" + name + "' is not an input");
  std::vector<double> pending(static_cast<std::size_t>(last.size()));
  reader.open({name, "<f8", {static_cast<std::int64_t>(pending.size())}});
  reader.read(pending.data(), pending.size());
  return pending;
}

}  // namespace memoa::detail
