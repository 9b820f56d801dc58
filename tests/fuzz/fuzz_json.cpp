#include <cstddef>
#include <cstdint>
#include <stdexcept>

#include "detail/json.hpp"

/// Any text is a value or one std::invalid_argument.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto value = memoa::detail::Json::parse({reinterpret_cast<const char*>(data), size});
    value.as_integer("value", -1, 1000);
  } catch (const std::invalid_argument&) {
  }
  return 0;
}
