#include <torch/extension.h>

#include "native.h"

PYBIND11_MODULE(TORCH_EXTENSION_NAME, module) {
    module.def("time_mix_forward", &time_mix_forward);
    module.def("time_mix_backward", &time_mix_backward);
    module.def("token_shift_forward", &token_shift_forward);
    module.def("token_shift_backward", &token_shift_backward);
    module.def("cross_entropy", &cross_entropy);
}
