#include "detail/json.hpp"

#include <limits>

#include "checks.hpp"

using namespace memoa;
using detail::Json;
using detail::json_text;
using tests::contains;
using tests::refusal;

TEST_CASE("values are read as they are") {
  const Json found = Json::parse(
      R"( {"b": [1, -2.5e3, true, false, null, {}, []], "a": "x\"\\\/\n\u00e9\ud83d\ude00",
           "seed": 18446744073709551615} )");
  const auto& items = found.at("b").as_array("b");
  REQUIRE(items.size() == 7);
  CHECK(items[0].as_integer("b", 0, 1) == 1);
  CHECK(items[1].as_double("b") == -2500.0);
  CHECK(items[2].as_bool("b"));
  CHECK_FALSE(items[3].as_bool("b"));
  CHECK(items[5].as_object("b").empty());
  CHECK(found.at("a").as_string("a") == "x\"\\/\n\xc3\xa9\xf0\x9f\x98\x80");
  CHECK(found.at("seed").as_seed("seed") == std::numeric_limits<std::uint64_t>::max());
  CHECK(found.find("c") == nullptr);
}

TEST_CASE("what was read is written as it was") {
  const std::string text =
      R"({"a": [1, -2.5e3, 0.1, true, null, {}, [], "\"\\\u000a"], "b": {"c": 18446744073709551615}})";
  CHECK(json_text(Json::parse(text)) == text);
}

TEST_CASE("what is not JSON is refused") {
  for (const char* text : {"",
                           " ",
                           "{",
                           "[",
                           "[1",
                           "[1,",
                           "[1,]",
                           "{\"a\"",
                           "{\"a\":",
                           "{\"a\":1",
                           "{\"a\":1,}",
                           "{a:1}",
                           "01",
                           "-",
                           "1.",
                           ".5",
                           "1e",
                           "1e+",
                           "+1",
                           "NaN",
                           "Infinity",
                           "nul",
                           "truex",
                           "1 2",
                           "\"",
                           "\"\\",
                           "\"\\x\"",
                           "\"\\u12\"",
                           "\"\\ud800\"",
                           "\"\\ud800\\u0041\"",
                           "\"\\udc00\"",
                           "\"\n\"",
                           "{\"a\": 1, \"b\": 2, \"a\": 3}",
                           "[}",
                           "{]"}) {
    CAPTURE(text);
    CHECK(tests::names(refusal([&] { Json::parse(text); }), "JSON at byte "));
  }
  const std::string deep(100000, '[');
  CHECK(contains(refusal([&] { Json::parse(deep); }), "nested too deeply"));
  const std::string nothing("\0", 1);
  CHECK_FALSE(refusal([&] { Json::parse(nothing); }).empty());
}

TEST_CASE("another kind or size of value is refused") {
  const Json found = Json::parse(R"({"n": 1.5, "big": 1e400, "i": 9223372036854775808, "s": "1"})");
  CHECK(contains(refusal([&] { found.at("n").as_integer("n", 0, 9); }), "n is not a whole number"));
  CHECK(contains(refusal([&] { found.at("i").as_integer("i", 0, 9); }), "i is not a whole number"));
  CHECK(contains(refusal([&] { found.at("big").as_double("big"); }), "big is not a finite number"));
  CHECK(contains(refusal([&] { found.at("s").as_double("s"); }), "s is not a number"));
  CHECK(contains(refusal([&] { found.at("n").as_string("n"); }), "n is not a string"));
  CHECK(contains(refusal([&] { found.at("n").as_seed("n"); }), "n is not a whole number"));
  CHECK(contains(refusal([&] { found.at("x"); }), "the key 'x' is missing"));
}

TEST_CASE("what is written reads back to the bit") {
  for (const double value : {0.1, -1.0 / 3.0, 1e300, 2.2250738585072014e-308, 12345678901234567.0})
    CHECK(Json::parse(json_text(value)).as_double("x") == value);
  const std::string text = "a\"\\\n\x01\xc3\xa9";
  CHECK(Json::parse(json_text(text)).as_string("x") == text);
  CHECK(json_text(std::vector<double>{0.5, 2.0}) == "[0.5, 2]");
}
