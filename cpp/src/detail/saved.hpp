#pragma once

#include "detail/state_file.hpp"
#include "memoa/saved.hpp"

namespace memoa::detail {

/// `load` and `load_panel` for a file that is already open.
Saved read_saved(StateReader& reader, int n_threads);
SavedPanel read_panel(StateReader& reader, int n_threads);

}  // namespace memoa::detail
