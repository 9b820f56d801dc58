#include "detail/json.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <locale>
#include <sstream>

namespace memoa::detail {

/// Recursive descent over the text; every step consumes a byte or throws, so that the time is
/// linear.
class JsonParser {
 public:
  explicit JsonParser(std::string_view text) : text_(text) {}

  Json document() {
    Json found = value(0);
    skip_space();
    if (at_ != text_.size()) fail("more than one value");
    return found;
  }

 private:
  [[noreturn]] void fail(const char* what) const {
    throw std::invalid_argument("JSON at byte " + std::to_string(at_) + ": " + what);
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  char take() {
    if (at_ == text_.size()) fail("the text ends early");
    return text_[at_++];
  }
  void expect(char wanted, const char* what) {
    if (peek() != wanted || at_ == text_.size()) fail(what);
    ++at_;
  }
  void skip_space() {
    while (at_ < text_.size() && std::string_view(" \t\n\r").find(text_[at_]) != text_.npos) ++at_;
  }
  bool take_word(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  Json value(int depth) {
    if (depth > Json::kDepth) fail("nested too deeply");
    skip_space();
    Json found;
    switch (peek()) {
      case '{':
        found.value_ = object(depth);
        break;
      case '[':
        found.value_ = array(depth);
        break;
      case '"':
        found.value_ = string();
        break;
      default:
        if (take_word("true"))
          found.value_ = true;
        else if (take_word("false"))
          found.value_ = false;
        else if (take_word("null"))
          found.value_ = nullptr;
        else
          found.value_ = number();
    }
    return found;
  }

  Json::Object object(int depth) {
    Json::Object members;
    expect('{', "expected {");
    skip_space();
    if (peek() == '}') return ++at_, members;
    while (true) {
      skip_space();
      std::string key = string();
      skip_space();
      expect(':', "expected a colon after a key");
      members.emplace_back(std::move(key), value(depth + 1));
      skip_space();
      if (peek() == '}') break;
      expect(',', "expected a comma or }");
    }
    ++at_;
    const auto before = [](const auto& a, const auto& b) { return a.first < b.first; };
    const auto same = [](const auto& a, const auto& b) { return a.first == b.first; };
    std::sort(members.begin(), members.end(), before);
    const auto twice = std::adjacent_find(members.begin(), members.end(), same);
    if (twice != members.end()) fail(("the key '" + twice->first + "' occurs twice").c_str());
    return members;
  }

  Json::Array array(int depth) {
    Json::Array items;
    expect('[', "expected [");
    skip_space();
    if (peek() == ']') return ++at_, items;
    while (true) {
      items.push_back(value(depth + 1));
      skip_space();
      if (peek() == ']') return ++at_, items;
      expect(',', "expected a comma or ]");
    }
  }

  std::string string() {
    std::string found;
    expect('"', "expected a string");
    while (true) {
      const char c = take();
      if (c == '"') return found;
      if (static_cast<unsigned char>(c) < 0x20) fail("a control character in a string");
      if (c != '\\') {
        found += c;
        continue;
      }
      static constexpr std::string_view names = "\"\\/bfnrt", bytes = "\"\\/\b\f\n\r\t";
      const char name = take();
      const auto known = names.find(name);
      if (known != names.npos)
        found += bytes[known];
      else if (name == 'u')
        append_utf8(found, code_point());
      else
        fail("an unknown escape in a string");
    }
  }

  unsigned hex4() {
    unsigned unit = 0;
    for (int digit = 0; digit < 4; ++digit) {
      const char c = take();
      const auto at = std::string_view("0123456789abcdef").find(c >= 'A' && c <= 'F' ? c + 32 : c);
      if (at == std::string_view::npos) fail("expected four hexadecimal digits");
      unit = unit * 16 + static_cast<unsigned>(at);
    }
    return unit;
  }

  unsigned code_point() {
    const unsigned unit = hex4();
    if (unit < 0xd800 || unit > 0xdfff) return unit;
    if (unit > 0xdbff || !take_word("\\u")) fail("half of a surrogate pair");
    const unsigned low = hex4();
    if (low < 0xdc00 || low > 0xdfff) fail("half of a surrogate pair");
    return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
  }

  static void append_utf8(std::string& out, unsigned code) {
    const auto tail = [&](int shift) { out += static_cast<char>(0x80 | ((code >> shift) & 0x3f)); };
    if (code < 0x80) {
      out += static_cast<char>(code);
    } else if (code < 0x800) {
      out += static_cast<char>(0xc0 | (code >> 6)), tail(0);
    } else if (code < 0x10000) {
      out += static_cast<char>(0xe0 | (code >> 12)), tail(6), tail(0);
    } else {
      out += static_cast<char>(0xf0 | (code >> 18)), tail(12), tail(6), tail(0);
    }
  }

  bool take_digits() {
    const std::size_t first = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    return at_ > first;
  }

  Json::Number number() {
    const std::size_t first = at_;
    if (peek() == '-') ++at_;
    if (peek() == '0')
      ++at_;
    else if (!take_digits())
      fail("expected a value");
    if (peek() == '.') {
      ++at_;
      if (!take_digits()) fail("expected digits after the point");
    }
    if (peek() == 'e' || peek() == 'E') {
      ++at_;
      if (peek() == '+' || peek() == '-') ++at_;
      if (!take_digits()) fail("expected digits of an exponent");
    }
    return {std::string(text_.substr(first, at_ - first))};
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

namespace {

[[noreturn]] void refuse(const std::string& where, const char* expected) {
  throw std::invalid_argument(where + " is not " + expected);
}

template <class Value>
const Value& get(const Value* value, const std::string& where, const char* expected) {
  if (value == nullptr) refuse(where, expected);
  return *value;
}

template <class Integer>
bool parse_whole(const std::string& text, Integer& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

Json Json::parse(std::string_view text) { return JsonParser(text).document(); }

const Json* Json::find(const std::string& key) const {
  const auto* object = std::get_if<Object>(&value_);
  if (object == nullptr) return nullptr;
  const auto at = std::lower_bound(object->begin(), object->end(), key,
                                   [](const auto& a, const auto& b) { return a.first < b; });
  return at != object->end() && at->first == key ? &at->second : nullptr;
}

const Json& Json::at(const std::string& key) const {
  const Json* found = find(key);
  if (found == nullptr) throw std::invalid_argument("the key '" + key + "' is missing");
  return *found;
}

bool Json::as_bool(const std::string& where) const {
  return get(std::get_if<bool>(&value_), where, "true or false");
}
const std::string& Json::as_string(const std::string& where) const {
  return get(std::get_if<std::string>(&value_), where, "a string");
}
const Json::Array& Json::as_array(const std::string& where) const {
  return get(std::get_if<Array>(&value_), where, "an array");
}
const Json::Object& Json::as_object(const std::string& where) const {
  return get(std::get_if<Object>(&value_), where, "an object");
}

double Json::as_double(const std::string& where) const {
  const Number& number = get(std::get_if<Number>(&value_), where, "a number");
  std::istringstream stream(number.text);
  stream.imbue(std::locale::classic());  // a point, whatever the process writes numbers with
  stream.exceptions(std::ios::badbit);   // memory that is missing is no bad number
  double value = 0.0;
  stream >> value;
  if (stream.fail() || !std::isfinite(value)) refuse(where, "a finite number");
  return value;
}

std::int64_t Json::as_integer(const std::string& where, std::int64_t least,
                              std::int64_t most) const {
  std::int64_t value = 0;
  if (!parse_whole(get(std::get_if<Number>(&value_), where, "a whole number").text, value) ||
      value < least || value > most)
    throw std::invalid_argument(where + " is not a whole number from " + std::to_string(least) +
                                " to " + std::to_string(most));
  return value;
}

std::uint64_t Json::as_seed(const std::string& where) const {
  std::uint64_t value = 0;
  if (!parse_whole(get(std::get_if<Number>(&value_), where, "a whole number").text, value))
    refuse(where, "a whole number from 0 to 2^64 - 1");
  return value;
}

std::string json_text(double value) {
  std::ostringstream stream;
  stream.imbue(std::locale::classic());
  stream.exceptions(std::ios::badbit);
  stream.precision(std::numeric_limits<double>::max_digits10);
  stream << value;
  return stream.str();
}

std::string json_text(const std::vector<double>& values) {
  std::string text = "[";
  for (const double value : values) text += (text.size() > 1 ? ", " : "") + json_text(value);
  return text + "]";
}

std::string json_text(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      (quoted += '\\') += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      static constexpr char digits[] = "0123456789abcdef";
      ((quoted += "\\u00") += digits[c >> 4]) += digits[c & 15];
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

std::string json_text(const Json& value) {
  if (const auto* known = std::get_if<bool>(&value.value_)) return *known ? "true" : "false";
  if (const auto* number = std::get_if<Json::Number>(&value.value_)) return number->text;
  if (const auto* text = std::get_if<std::string>(&value.value_)) return json_text(*text);
  std::string inside;
  const auto add = [&inside](const std::string& item) {
    inside += (inside.empty() ? "" : ", ") + item;
  };
  if (const auto* items = std::get_if<Json::Array>(&value.value_)) {
    for (const Json& item : *items) add(json_text(item));
    return "[" + inside + "]";
  }
  if (const auto* members = std::get_if<Json::Object>(&value.value_)) {
    for (const auto& [key, item] : *members) add(json_text(key) + ": " + json_text(item));
    return "{" + inside + "}";
  }
  return "null";
}

}  // namespace memoa::detail
