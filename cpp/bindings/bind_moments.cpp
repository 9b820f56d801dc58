#include "memoa/moments.hpp"

#include "arrays.hpp"

namespace memoa::python {

void bind_moments(py::module_& module) {
  using py::arg;
  module.def(
      "activation_moments",
      [](bool cosine, const Array& mean, const Array& std) {
        const Shape shape(mean.shape(), mean.shape() + mean.ndim());
        require_shape("std", std, shape);
        Array means(shape), variances(shape);
        double *out_mean = means.mutable_data(), *out_variance = variances.mutable_data();
        for (py::ssize_t i = 0; i < mean.size(); ++i) {
          const FeatureMoments moments = cosine ? cos_moments(mean.data()[i], std.data()[i])
                                                : relu_moments(mean.data()[i], std.data()[i]);
          out_mean[i] = moments.mean;
          out_variance[i] = moments.variance;
        }
        return py::make_tuple(means, variances);
      },
      arg("cosine"), arg("mean").noconvert(), arg("std").noconvert());
}

}  // namespace memoa::python
