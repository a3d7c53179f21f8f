// The node of libtorch's autograd graph that owns a Rust function, and what Rust calls to make and to use it.
// Every function that Rust calls catches all exceptions; every Rust callback catches all panics.

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <torch/csrc/autograd/functions/basic_ops.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/graph_task.h>
#include <torch/csrc/autograd/saved_variable.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using at::Tensor;
using torch::autograd::variable_list;

// Where an error message goes: `write` appends to a string on the Rust side.
struct Message {
  void* text;
  void (*write)(void* text, const char* bytes, size_t length);
};

struct Call;

// The Rust object of a node, and what can be done with it.
struct Function {
  void* object;
  bool (*backward)(void* object, Call* call);
  void (*drop)(void* object);
  const char* name;  // lives as long as the program
  size_t name_length;
};

template <class Body>
bool guarded(Message message, Body&& body) noexcept {
  const auto say = [&](const std::string& text) { message.write(message.text, text.data(), text.size()); };
  try {
    body();
    return true;
  } catch (const c10::Error& error) {
    say(error.what_without_backtrace());
  } catch (const std::exception& error) {
    say(error.what());
  } catch (...) {
    say("an exception that is no std::exception");
  }
  return false;
}

// The same tensor without a history; it shares the memory and the version counter.
Tensor without_history(const Tensor& tensor) { return tensor.defined() ? Tensor(tensor.tensor_data()) : Tensor(); }

// The memory that holds a tensor's numbers, as an identity only; null where there is none.
const void* memory(const Tensor& tensor) {
  if (!tensor.defined()) return nullptr;
  if (tensor.is_sparse()) return memory(tensor._values());
  return tensor.has_storage() ? tensor.storage().unsafeGetStorageImpl() : nullptr;
}

// Whether a tensor's numbers lie in memory of its own, as its sizes and strides say.
bool strided(const Tensor& tensor) {
  return tensor.defined() && tensor.layout() == at::kStrided && !tensor.is_nested() && tensor.has_storage();
}

// What keeps a tensor's numbers from being one block on the CPU in row-major order, as they are read; empty if nothing.
// Expects a strided tensor.
std::string obstacle(const Tensor& tensor) {
  if (!tensor.device().is_cpu()) return "on another device";
  if (!tensor.is_contiguous()) return "with strides " + c10::str(tensor.strides());
  // The numbers in memory are not the numbers of the tensor: every operation negates or conjugates them as it reads.
  if (tensor.is_neg()) return "with the negative bit";
  if (tensor.is_conj()) return "with the conjugate bit";
  const size_t end = (tensor.storage_offset() + tensor.numel()) * tensor.element_size();
  // A tensor of zeros that take no memory, or a storage that was shrunk under the tensor.
  if (tensor.numel() > 0 && (tensor._is_zerotensor() || tensor.storage().nbytes() < end)) return "without memory";
  return {};
}

struct Node;

// One run of backward, as Rust sees it while its callback runs.
struct Call {
  Node& node;
  const variable_list& grad_outputs;
  variable_list grad_inputs;
  std::vector<const void*> shared_memory;  // of saved tensors that somebody else may hold
  std::string error;
  bool keep_graph;
};

struct Node final : torch::autograd::Node {
  Node(Function function, torch::autograd::edge_list&& edges)
      : torch::autograd::Node(std::move(edges)), function(function) {}
  ~Node() override { drop(); }

  std::string name() const override { return {function.name, function.name_length}; }

  void release_variables() override {
    std::lock_guard<std::mutex> lock(busy);
    drop();
    saved.clear();
  }

  variable_list apply(variable_list&& grad_outputs) override {
    if (runner == std::this_thread::get_id())
      throw std::runtime_error(name() + ": backward was called from inside this function's own backward");
    std::lock_guard<std::mutex> lock(busy);
    struct Running {
      std::atomic<std::thread::id>& runner;
      explicit Running(std::atomic<std::thread::id>& r) : runner(r) { runner = std::this_thread::get_id(); }
      ~Running() { runner = std::thread::id(); }
    } running(runner);
    if (!function.object)
      throw std::runtime_error(
          name() + ": backward ran a second time, but the first run freed what was saved; keep the graph for that");
    // A gradient is linear in grad_outputs: nothing in, nothing out.
    if (std::none_of(grad_outputs.begin(), grad_outputs.end(), [](const Tensor& g) { return g.defined(); }))
      return variable_list(num_outputs());

    const bool create_graph = at::GradMode::is_enabled();
    torch::autograd::edge_list edges;
    if (create_graph) {
      edges = next_edges();
      for (const auto& grad : grad_outputs)
        if (grad.defined() && grad.requires_grad()) edges.push_back(torch::autograd::impl::gradient_edge(grad));
    }
    at::NoGradGuard no_grad;
    // Without its history a gradient leads no way back into this node.
    for (auto& grad : grad_outputs)
      if (grad.defined() && grad.requires_grad()) grad = without_history(grad);

    const bool keep_graph = torch::autograd::get_current_graph_task_keep_graph();
    Call call{*this, grad_outputs, variable_list(num_outputs()), {}, {}, keep_graph};
    if (!function.backward(function.object, &call)) throw std::runtime_error(name() + ": " + call.error);

    // A leaf may take a returned tensor as its `grad`, and change it in place later: not with memory of others in it.
    for (auto& grad : call.grad_inputs)
      if (const void* at = memory(grad);
          at && std::count(call.shared_memory.begin(), call.shared_memory.end(), at) > 0)
        grad = grad.clone();
    if (create_graph) {
      auto refusal = c10::make_intrusive<torch::autograd::Error>(
          name() + " cannot be differentiated twice: lexmax-autograd gives first derivatives only", std::move(edges));
      for (auto& grad : call.grad_inputs)
        if (grad.defined() && torch::autograd::isDifferentiableType(grad.scalar_type())) {
          grad = without_history(grad);
          torch::autograd::set_history(grad, refusal);
        }
    }
    return std::move(call.grad_inputs);
  }

  // The saved tensor, checked for changes in place. `take` lets the node forget it, unless the graph is kept.
  Tensor unpack(Call& call, size_t index, bool take) {
    auto& slot = saved.at(index);
    if (!slot) throw std::runtime_error("saved tensor " + std::to_string(index) + " was taken already");
    Tensor tensor = slot->unpack();
    if (take && !call.keep_graph) slot.reset();
    const bool sole = !slot && tensor.has_storage() && tensor.use_count() == 1 && tensor.storage().use_count() == 1;
    if (const void* at = memory(tensor); at && !sole) call.shared_memory.push_back(at);
    return tensor;
  }

  void drop() {
    if (void* object = std::exchange(function.object, nullptr)) function.drop(object);
  }

  Function function;
  std::vector<std::optional<torch::autograd::SavedVariable>> saved;
  std::mutex busy;  // the Rust object is Send, not Sync: one run at a time
  std::atomic<std::thread::id> runner;
};

// An output must be a tensor of its own: no memory of an input (a change in place would escape the graph), not the
// tensor of another output, and no tensor that Rust keeps (with a history it would keep the node alive, which owns it).
Tensor own_output(const Tensor& output, Tensor* const* inputs, size_t n_inputs, Tensor* const* later, size_t n) {
  const void* at = memory(output);
  const auto is_same = [&](const Tensor* t) { return t && t->is_same(output); };
  const auto shares = [&](const Tensor* t) { return t && at && memory(*t) == at; };
  if (std::any_of(inputs, inputs + n_inputs, is_same) || std::any_of(inputs, inputs + n_inputs, shares) ||
      std::any_of(later, later + n, is_same))
    return output.clone();
  const bool held = output.use_count() > 1 || output.is_view() || output.requires_grad();
  return held ? without_history(output) : output;
}

}  // namespace

extern "C" {

// Makes `outputs` tensors of their own, and with a function also differentiable: takes over `function` whatever
// happens. Null inputs are undefined. Expects grad mode off.
bool lexmax_autograd_finish(Tensor* const* inputs, size_t n_inputs, Tensor* const* outputs, size_t n_outputs,
                            const bool* differentiable, Tensor* const* saved, size_t n_saved,
                            const Function* function, Message message) {
  return guarded(message, [&] {
    c10::intrusive_ptr<Node> node;
    if (function) {
      torch::autograd::edge_list edges;
      try {
        edges.reserve(n_inputs);
        for (size_t i = 0; i < n_inputs; ++i)
          edges.push_back(inputs[i] ? torch::autograd::impl::gradient_edge(*inputs[i]) : torch::autograd::Edge());
        node = c10::make_intrusive<Node>(*function, std::move(edges));
      } catch (...) {
        function->drop(function->object);
        throw;
      }
      node->saved.reserve(n_saved);
      for (size_t i = 0; i < n_saved; ++i)
        node->saved.emplace_back(std::in_place, without_history(*saved[i]), /*is_output=*/false);
    }
    for (size_t i = 0; i < n_outputs; ++i)
      *outputs[i] = own_output(*outputs[i], inputs, n_inputs, outputs + i + 1, n_outputs - i - 1);
    if (!node) return;
    for (size_t i = 0; i < n_outputs; ++i) {
      if (differentiable[i] && torch::autograd::isDifferentiableType(outputs[i]->scalar_type()))
        torch::autograd::set_history(*outputs[i], node);
      else
        node->add_input_metadata(torch::autograd::Node::undefined_input());
    }
  });
}

size_t lexmax_autograd_n_grad_outputs(const Call* call) { return call->grad_outputs.size(); }
size_t lexmax_autograd_n_grad_inputs(const Call* call) { return call->grad_inputs.size(); }
size_t lexmax_autograd_n_saved(const Call* call) { return call->node.saved.size(); }
bool lexmax_autograd_keep_graph(const Call* call) { return call->keep_graph; }

// Null where undefined; lives as long as the call.
const Tensor* lexmax_autograd_grad_output(const Call* call, size_t index) {
  const Tensor& grad = call->grad_outputs[index];
  return grad.defined() ? &grad : nullptr;
}

bool lexmax_autograd_needs_input_grad(const Call* call, size_t index) {
  return call->node.task_should_compute_output(index);
}

// A tensor that the caller owns; null on error.
Tensor* lexmax_autograd_saved(Call* call, size_t index, bool take, Message message) {
  Tensor* tensor = nullptr;
  guarded(message, [&] { tensor = new Tensor(call->node.unpack(*call, index, take)); });
  return tensor;
}

void lexmax_autograd_set_grad_input(Call* call, size_t index, const Tensor* grad) noexcept {
  call->grad_inputs[index] = *grad;
}

void lexmax_autograd_fail(Call* call, const char* bytes, size_t length) noexcept { call->error.assign(bytes, length); }

// How many hold the tensor: for tests of leaks.
size_t lexmax_autograd_use_count(const Tensor* tensor) { return tensor->use_count(); }

// Whether a tensor is defined and strided, on any device.
bool lexmax_autograd_is_strided(const Tensor* tensor) noexcept { return strided(*tensor); }

// Where the `length` numbers of a tensor begin, which may be changed where `write` says so; where they are no slice it
// is false and the message says what the tensor is instead.
bool lexmax_autograd_numbers(const Tensor* tensor, bool write, void** data, size_t* length, Message message) {
  return guarded(message, [&] {
    if (!tensor->defined()) throw std::invalid_argument("undefined tensor");
    if (!strided(*tensor)) {
      const std::string layout = tensor->is_nested() ? "nested" : c10::str("of layout ", tensor->layout());
      throw std::invalid_argument("tensor " + layout);
    }
    if (const auto found = obstacle(*tensor); !found.empty())
      throw std::invalid_argument(c10::str("tensor ", tensor->sizes(), " on ", tensor->device(), ' ', found));
    *length = tensor->numel();
    // Memory that is copied when it is written to stays shared for a reader.
    *data = write ? tensor->mutable_data_ptr() : const_cast<void*>(tensor->const_data_ptr());
  });
}

// Tells the graph that a tensor was changed in place: saved shares of it are refused from here on.
bool lexmax_autograd_bump_version(const Tensor* tensor, Message message) {
  return guarded(message, [&] { torch::autograd::impl::bump_version(*tensor); });
}

// Bytes that a CUDA device has free for this process: what its driver has left, and what libtorch keeps for the next tensor. The
// allocator is asked through the interface that every libtorch has, so nothing of CUDA is linked.
bool lexmax_autograd_free_memory(c10::DeviceIndex index, size_t* bytes, Message message) {
  return guarded(message, [&] {
    auto* allocator = dynamic_cast<c10::DeviceAllocator*>(c10::GetAllocator(c10::DeviceType::CUDA));
    if (!allocator) throw std::runtime_error("the allocator of the device does not tell");
    *bytes = allocator->getMemoryInfo(index).first;
    if (!allocator->initialized()) return;
    const auto stats = allocator->getDeviceStats(index);
    const auto all = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    const int64_t unused = stats.reserved_bytes[all].current - stats.allocated_bytes[all].current;
    *bytes += static_cast<size_t>(std::max<int64_t>(unused, 0));
  });
}

// Calls `run(work, index)` for each of 0..count on libtorch's threads between operations; `run` throws nothing.
bool lexmax_autograd_parallel(size_t count, const void* work, void (*run)(const void* work, size_t index),
                              Message message) {
  return guarded(message, [&] {
    at::parallel_for(0, static_cast<int64_t>(count), 1, [&](int64_t begin, int64_t end) {
      for (int64_t index = begin; index < end; ++index) run(work, static_cast<size_t>(index));
    });
  });
}

}  // extern "C"
