#pragma once

#include "arrays.hpp"
#include "memoa/mixture.hpp"

namespace memoa::python {
using LockedMixture = Locked<ServerMixture, ServerMixtureF32>;
}
