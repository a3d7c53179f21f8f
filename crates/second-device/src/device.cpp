// A device of host memory that libtorch takes for its first CUDA device.
//
// Memory comes from the host, and an operation copies its tensors to the CPU, computes there and copies back, so every operation
// that the CPU has works. What a GPU refuses is refused here too: an operation over tensors of both devices.

#include <algorithm>
#include <cstdio>
#include <exception>
#include <mutex>
#include <optional>
#include <tuple>
#include <unordered_map>

#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/native/Resize.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/unfold_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/core/impl/alloc_cpu.h>
#include <torch/library.h>

namespace {

constexpr auto kTaken = c10::DeviceType::CUDA;

c10::Device here() { return {kTaken, 0}; }

// ---- What libtorch asks of a device: memory, a current device, a stream, whether it is there. ----

// Bytes of the tensors that live on the device, and the most there were.
struct Counts {
  std::mutex busy;
  std::unordered_map<void*, size_t> sizes;
  size_t held = 0, peak = 0, has = size_t(8) << 30;

  void add(void* data, size_t bytes) {
    std::lock_guard<std::mutex> lock(busy);
    sizes[data] = bytes;
    held += bytes;
    peak = std::max(peak, held);
  }
  void remove(void* data) {
    std::lock_guard<std::mutex> lock(busy);
    const auto found = sizes.find(data);
    if (found == sizes.end()) return;
    held -= found->second;
    sizes.erase(found);
  }
};

Counts& counts() {
  static auto* counts = new Counts();  // tensors may be freed as the process ends
  return *counts;
}

struct HostAllocator final : c10::DeviceAllocator {
  c10::DataPtr allocate(size_t bytes) override {
    void* data = c10::alloc_cpu(bytes);
    if (data) counts().add(data, bytes);
    return {data, data, &release, here()};
  }
  static void release(void* data) {
    counts().remove(data);
    c10::free_cpu(data);
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t bytes) const override { default_copy_data(to, from, bytes); }
  bool initialized() override { return true; }
  void emptyCache(c10::MempoolId_t) override {}
  void recordStream(const c10::DataPtr&, c10::Stream) override {}
  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex) override { return {}; }
  void resetAccumulatedStats(c10::DeviceIndex) override {}
  void resetPeakStats(c10::DeviceIndex) override {}
  std::pair<size_t, size_t> getMemoryInfo(c10::DeviceIndex) override {
    std::lock_guard<std::mutex> lock(counts().busy);
    return {counts().has - std::min(counts().has, counts().held), counts().has};
  }
};

c10::Allocator* allocator() {
  static HostAllocator host;
  return &host;
}

struct HostGuard final : c10::impl::NoOpDeviceGuardImpl<kTaken> {
  c10::Stream stream() const { return c10::Stream(c10::Stream::DEFAULT, here()); }
  c10::Device exchangeDevice(c10::Device) const override { return here(); }
  c10::Device getDevice() const override { return here(); }
  c10::Stream getStream(c10::Device) const noexcept override { return stream(); }
  c10::Stream getDefaultStream(c10::Device) const override { return stream(); }
  c10::Stream getNewStream(c10::Device, int) const override { return stream(); }
  c10::Stream exchangeStream(c10::Stream) const noexcept override { return stream(); }
  void record(void**, const c10::Stream&, c10::DeviceIndex, c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void synchronizeEvent(void*) const override {}
  void synchronizeDevice(c10::DeviceIndex) const override {}
};

struct HostHooks final : at::CUDAHooksInterface {
  explicit HostHooks(at::CUDAHooksArgs) {}
  void init() const override {}
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasCUDA() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  int getNumGPUs() const override { return 1; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex current_device() const override { return 0; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  void setCurrentDevice(c10::DeviceIndex) const override {}
  c10::DeviceIndex exchangeDevice(c10::DeviceIndex) const override { return 0; }
  c10::DeviceIndex maybeExchangeDevice(c10::DeviceIndex) const override { return 0; }
  c10::Device getDeviceFromPtr(void*) const override { return here(); }
  void deviceSynchronize(c10::DeviceIndex) const override {}
};

// ---- Tensors there and back. ----

// The same memory as a CPU tensor.
at::Tensor on_host(const at::Tensor& tensor) {
  if (!tensor.defined() || tensor.device().is_cpu()) return tensor;
  return at::from_blob(tensor.data_ptr(), tensor.sizes(), tensor.strides(), at::dtype(tensor.scalar_type()));
}

at::Tensor empty(at::IntArrayRef size, std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
                 std::optional<at::Device>, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(size, allocator(), c10::DispatchKeySet(c10::DispatchKey::CUDA),
                                   c10::dtype_or_default(dtype), format);
}

at::Tensor empty_strided(at::IntArrayRef size, at::IntArrayRef stride, std::optional<at::ScalarType> dtype,
                         std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(size, stride, allocator(), c10::DispatchKeySet(c10::DispatchKey::CUDA),
                                           c10::dtype_or_default(dtype));
}

at::Tensor from_host(const at::Tensor& tensor) {
  if (!tensor.defined()) return tensor;
  auto out = empty(tensor.sizes(), tensor.scalar_type(), {}, {}, {}, {});
  on_host(out).copy_(tensor);
  return out;
}

at::Tensor& copy(at::Tensor& to, const at::Tensor& from, bool) {
  on_host(to).copy_(on_host(from));
  return to;
}

const at::Tensor& resize_in_place(const at::Tensor& tensor, at::IntArrayRef size, std::optional<at::MemoryFormat>) {
  at::native::resize_impl_cpu_(tensor.unsafeGetTensorImpl(), size, std::nullopt);
  return tensor;
}

at::Tensor copy_and_resize(const at::Tensor& from, const at::Tensor& to) {
  if (to.sizes() != from.sizes()) resize_in_place(to, from.sizes(), {});
  on_host(to).copy_(on_host(from));
  return to;
}

at::Scalar scalar(const at::Tensor& tensor) { return on_host(tensor).item(); }

// ---- Every other operation. ----

void refuse_elsewhere(const c10::OperatorHandle& op, const at::Tensor& tensor) {
  // A number (a tensor without dimensions) may come from the CPU, as on a GPU.
  TORCH_CHECK(!tensor.defined() || tensor.device() == here() || tensor.dim() == 0, op.schema().name(),
              ": expected all tensors to be on the same device, but found one on ", tensor.device(), " beside ", here());
}

void on_the_cpu(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  for (const c10::IValue& argument : torch::jit::last(*stack, op.schema().arguments().size())) {
    if (argument.isTensor()) refuse_elsewhere(op, argument.toTensor());
    if (!argument.isList()) continue;
    for (const c10::IValue& item : argument.toListRef()) {
      if (item.isTensor()) refuse_elsewhere(op, item.toTensor());
    }
  }
  at::native::cpu_fallback(op, stack);
}

// ---- The LSTM cell, which libtorch has on GPUs only. Gates in its order: input, forget, cell, output. ----

using Three = std::tuple<at::Tensor, at::Tensor, at::Tensor>;
using Maybe = std::optional<at::Tensor>;

Three lstm_cell(const at::Tensor& from_input, const at::Tensor& from_hidden, const at::Tensor& cell, const Maybe& input_bias,
                const Maybe& hidden_bias) {
  auto sum = on_host(from_input) + on_host(from_hidden);
  if (input_bias && input_bias->defined()) sum += on_host(*input_bias) + on_host(*hidden_bias);
  auto parts = sum.chunk(4, 1);
  auto input = parts[0].sigmoid(), forget = parts[1].sigmoid(), update = parts[2].tanh(), output = parts[3].sigmoid();
  auto next = forget * on_host(cell) + input * update;
  auto gates = at::cat({input, forget, update, output}, 1);
  return {from_host(output * next.tanh()), from_host(next), from_host(gates)};
}

Three lstm_cell_backward(const Maybe& hidden_grad, const Maybe& cell_grad, const at::Tensor& cell, const at::Tensor& next,
                         const at::Tensor& gates, bool has_bias) {
  auto gradient = [&](const Maybe& grad) {
    return grad && grad->defined() ? on_host(*grad) : at::zeros_like(on_host(next));
  };
  auto of_hidden = gradient(hidden_grad), squashed = on_host(next).tanh();
  auto parts = on_host(gates).chunk(4, 1);
  auto input = parts[0], forget = parts[1], update = parts[2], output = parts[3];
  auto of_next = of_hidden * output * (1 - squashed * squashed) + gradient(cell_grad);
  auto of_gates = at::cat({of_next * update * input * (1 - input), of_next * on_host(cell) * forget * (1 - forget),
                           of_next * input * (1 - update * update), of_hidden * squashed * output * (1 - output)}, 1);
  auto of_bias = has_bias ? from_host(of_gates.sum(0)) : at::Tensor();
  return {from_host(of_gates), from_host(of_next * forget), of_bias};
}

void install() {
  at::CUDAHooksRegistry()->Register(
      "CUDAHooks", [](at::CUDAHooksArgs arguments) -> std::unique_ptr<at::CUDAHooksInterface> {
        return std::make_unique<HostHooks>(arguments);
      });
  c10::SetAllocator(kTaken, allocator());
  // These live as long as the process: the registries keep pointers to them.
  static auto* guard = new c10::impl::DeviceGuardImplRegistrar(kTaken, new HostGuard());
  static auto* others =
      new torch::Library(torch::Library::IMPL, "_", c10::DispatchKey::CUDA, __FILE__, __LINE__);
  others->fallback(torch::CppFunction::makeFromBoxedFunction<&on_the_cpu>());
  static auto* own = new torch::Library(torch::Library::IMPL, "aten", c10::DispatchKey::CUDA, __FILE__, __LINE__);
  own->impl("empty.memory_format", TORCH_FN(empty));
  own->impl("empty_strided", TORCH_FN(empty_strided));
  own->impl("copy_", TORCH_FN(copy));
  own->impl("_copy_from_and_resize", TORCH_FN(copy_and_resize));
  own->impl("resize_", TORCH_FN(resize_in_place));
  own->impl("_local_scalar_dense", TORCH_FN(scalar));
  // Views share their memory, which a copy on the CPU would not.
  own->impl("view", TORCH_FN(at::native::view));
  own->impl("as_strided", TORCH_FN(at::native::as_strided_tensorimpl));
  own->impl("_reshape_alias", TORCH_FN(at::native::_reshape_alias));
  own->impl("unfold", TORCH_FN(at::native::unfold));
  own->impl("_thnn_fused_lstm_cell", TORCH_FN(lstm_cell));
  own->impl("_thnn_fused_lstm_cell_backward_impl", TORCH_FN(lstm_cell_backward));
  (void)guard;
}

}  // namespace

// 0: the device is there, made of host memory; 1: it is a GPU; 2: a CUDA build of libtorch without a GPU; 3: libtorch refused, and
// `message` (of `capacity` bytes) says why.
extern "C" int lexmax_second_device_install(char* message, size_t capacity) {
  static std::mutex one_at_a_time;
  static bool installed = false;
  std::lock_guard<std::mutex> lock(one_at_a_time);
  try {
    if (installed) return 0;
    if (at::CUDAHooksRegistry()->Has("CUDAHooks")) return at::detail::getCUDAHooks().getNumGPUs() > 0 ? 1 : 2;
    install();
    installed = true;
    return 0;
  } catch (const std::exception& error) {
    std::snprintf(message, capacity, "%s", error.what());
    return 3;
  } catch (...) {
    std::snprintf(message, capacity, "an unknown error");
    return 3;
  }
}

// Bytes of the tensors on the device made of host memory, and the most there were since the last reset.
extern "C" void lexmax_second_device_memory(size_t* held, size_t* peak) {
  std::lock_guard<std::mutex> lock(counts().busy);
  *held = counts().held;
  *peak = counts().peak;
}

extern "C" void lexmax_second_device_reset_peak() {
  std::lock_guard<std::mutex> lock(counts().busy);
  counts().peak = counts().held;
}

// What the device says it has in all.
extern "C" void lexmax_second_device_set_memory(size_t bytes) {
  std::lock_guard<std::mutex> lock(counts().busy);
  counts().has = bytes;
}
