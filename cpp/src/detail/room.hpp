#pragma once

#include <new>
#include <string>

#include "detail/validate.hpp"

namespace memoa::detail {

/// Calls make(), which needs about so many bytes. Throws MemoryError before the work if this
/// process can never have them; if the system has none left, the MemoryError names the purpose.
template <class Make>
void make_in_room(const std::string& what, double bytes, const Make& make) {
  require_memory(what, bytes);
  try {
    make();
  } catch (const std::bad_alloc&) {
    throw MemoryError(what + " needs " + to_text(bytes, 3) +
                      " bytes of memory, and the system has no more");
  }
}

}  // namespace memoa::detail
