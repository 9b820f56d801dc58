#include "arrays.hpp"
#include "detail/exact_sum.hpp"

namespace memoa::python {

void bind_shard(py::module_& module) {
  module.def(
      "exact_sum",
      [](const Array& values, const IndexArray& cuts) {
        // parts that are summed apart, as processes would, and then together
        detail::ExactSums whole, part;
        whole.begin(1), part.begin(1);
        Index first = 0;
        for (Index k = 0; k <= cuts.size(); ++k) {
          const Index last = k < cuts.size() ? cuts.data()[k] : values.size();
          part.begin(1);
          part.add_rows(values.data() + first, last - first, 1);
          part.carry();
          for (Index word = 0; word < part.size(); ++word)
            whole.words()[word] += part.words()[word];
          first = last;
        }
        whole.mixed();
        return whole.rounded(0);
      },
      py::arg("values").noconvert(), py::arg("cuts").noconvert(),
      "The exact sum of the values (n,), cut into parts before the given places, rounded once.");
  module.def(
      "column_sums",
      [](const Array& values) {
        Array sums(values.shape(1));
        detail::ExactSums work;
        detail::add_columns(values.data(), values.shape(0), values.shape(1), work,
                            sums.mutable_data());
        return sums;
      },
      py::arg("values").noconvert(), "The same of every column of values (rows, columns).");
}

}  // namespace memoa::python
