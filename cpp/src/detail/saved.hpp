#pragma once

#include "detail/state_file.hpp"
#include "memoa/saved.hpp"

namespace memoa::detail {

/// What `load` and `load_panel` do with an open file.
Saved read_saved(StateReader& reader, int n_threads);
SavedPanel read_panel(StateReader& reader, int n_threads);

}  // namespace memoa::detail
