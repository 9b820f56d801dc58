#pragma once

#include "memoa/encoder.hpp"

namespace memoa::python {

/// pybind11 would convert the bare variant by its alternatives.
struct EncoderHandle {
  Encoder encoder;
};

}  // namespace memoa::python
