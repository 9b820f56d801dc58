#pragma once

#include "arrays.hpp"
#include "memoa/panel.hpp"

namespace memoa::python {
using LockedPanel = Locked<Panel, PanelF32>;
}
