#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "memoa/types.hpp"

namespace memoa::detail {

/// A value of strict JSON (RFC 8259) as a file from anywhere may hold it. What is asked of it and
/// is not there, or is of another kind, throws std::invalid_argument in the words of `where`.
class Json {
 public:
  using Array = std::vector<Json>;
  using Object = std::vector<std::pair<std::string, Json>>;  // in the keys' order

  /// The whole text is one value, at most kDepth arrays and objects deep, no key twice.
  static Json parse(std::string_view text);
  static constexpr int kDepth = 16;

  const Json* find(const std::string& key) const;  ///< null where it is missing
  const Json& at(const std::string& key) const;

  bool is_null() const { return std::holds_alternative<std::nullptr_t>(value_); }
  bool is_object() const { return std::holds_alternative<Object>(value_); }
  bool as_bool(const std::string& where) const;
  const std::string& as_string(const std::string& where) const;
  const Array& as_array(const std::string& where) const;
  const Object& as_object(const std::string& where) const;
  double as_double(const std::string& where) const;
  /// A whole number from `least` to `most`.
  std::int64_t as_integer(const std::string& where, std::int64_t least, std::int64_t most) const;
  std::uint64_t as_seed(const std::string& where) const;  ///< from 0 to 2^64 - 1

 private:
  friend class JsonParser;
  friend std::string json_text(const Json& value);
  struct Number {
    std::string text;  // as written: it may be an integer of 64 bits or a real number
  };
  std::variant<std::nullptr_t, bool, Number, std::string, Array, Object> value_;
};

/// As JSON holds them: a real number reads back to the same bits.
std::string json_text(double value);
std::string json_text(const std::vector<double>& values);
std::string json_text(const std::string& text);
std::string json_text(const Json& value);

}  // namespace memoa::detail
