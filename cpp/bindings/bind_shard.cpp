#include "memoa/shard.hpp"

#include <pybind11/stl.h>

#include "arrays.hpp"
#include "constructor.hpp"
#include "detail/exact_sum.hpp"

namespace memoa::python {
namespace {

/// A Python object with `add(words)` and `max(values)`, which change the arrays they are given.
class PythonReducer : public Reducer {
 public:
  explicit PythonReducer(py::object communicator) : communicator_(std::move(communicator)) {}
  ~PythonReducer() override {
    const py::gil_scoped_acquire gil;
    communicator_.release().dec_ref();
  }

  void add(std::int64_t* words, Index count) override { call("add", words, count); }
  void max(double* values, Index count) override { call("max", values, count); }

 private:
  /// On the thread that called the engine, which has released the GIL.
  template <class Number>
  void call(const char* method, Number* numbers, Index count) {
    const py::gil_scoped_acquire gil;
    const py::array_t<Number> array(count, numbers, py::none());  // the engine's own memory
    communicator_.attr(method)(array);
  }

  py::object communicator_;
};

Shard make_shard(Index first, Index total, py::object communicator) {
  return {first, total, std::make_shared<PythonReducer>(std::move(communicator))};
}

/// Parts that are summed apart, as processes would, and then together.
double exact_sum(const Array& values, const IndexArray& cuts) {
  detail::ExactSums whole, part;
  whole.begin(1);
  Index first = 0;
  for (Index k = 0; k <= cuts.size(); ++k) {
    const Index last = k < cuts.size() ? cuts.data()[k] : values.size();
    part.begin(1);
    part.add_rows(values.data() + first, last - first, 1);
    part.carry();
    for (Index word = 0; word < part.size(); ++word) whole.words()[word] += part.words()[word];
    first = last;
  }
  whole.mixed();
  return whole.rounded(0);
}

Array column_sums(const Array& values) {
  Array sums(values.shape(1));
  detail::ExactSums work;
  detail::add_columns(values.data(), values.shape(0), values.shape(1), work, sums.mutable_data());
  return sums;
}

}  // namespace

void bind_shard(py::module_& module) {
  using py::arg;
  py::class_<Shard>(module, "Shard")
      .def("__init__", constructor<Shard>(&make_shard), kConstructor, arg("first"), arg("total"),
           arg("communicator"))
      .def_readonly("first", &Shard::first)
      .def_readonly("total", &Shard::total);
  module.attr("SHARD_UNIT") = kShardUnit;
  module.def("exact_sum", &exact_sum, arg("values").noconvert(), arg("cuts").noconvert(),
             "The exact sum of the values (n,), cut into parts before the given places, rounded "
             "once.");
  module.def("column_sums", &column_sums, arg("values").noconvert(),
             "The same of every column of values (rows, columns).");
}

}  // namespace memoa::python
