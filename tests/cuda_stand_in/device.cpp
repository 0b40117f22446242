// A stand-in for one CUDA device, for a torch that was built for the CPU alone.
//
// Tensors of "cuda:0" get torch's real CUDA dispatch key, but their memory is the host's. Every operation that has
// no kernel of its own under that key lands in `run_on_the_cpu`, which makes the checks of devices that CUDA would
// make and then runs the CPU's kernel over the same memory.
//
// What it can show:
// - weights, inputs or generators on the wrong device: operations refuse a mix, as on a GPU;
// - hooks that do not fire: a layer that should have been brought to the device computes with weights of the CPU;
// - memory that is read before it was written: fresh memory is filled with NaN, not with lucky zeros;
// - copies with non_blocking=True whose result is read, or whose source is overwritten, before anybody waited for
//   them: with RENDERLIFT_LAZY_COPIES=1 they happen only when their stream goes on or is waited for.
//
// What it cannot show: the numerics and limits of CUDA's kernels, Triton, several GPUs, how much memory a program
// needs, memory that is given back and reused while another stream reads it (record_stream does nothing).
//
// Written against the C++ of torch 2.13; stand_in.py refuses others.

#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/NativeFunctions.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/native/DispatchStub.h>
#include <ATen/native/TensorFactories.h>
#include <ATen/native/transformers/attention.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace {

using at::Tensor;
using c10::DeviceIndex;
using c10::DispatchKey;
using c10::DispatchKeySet;
using c10::IValue;
using c10::Stream;

const c10::Device cuda_0(c10::DeviceType::CUDA, 0);
const c10::Device cpu(c10::DeviceType::CPU);
const DispatchKeySet cuda_key(DispatchKey::CUDA);
const DispatchKeySet cpu_key(DispatchKey::CPU);

// ---- Memory

constexpr std::size_t alignment_bytes = 64;

void* nan_filled(std::size_t size_bytes) {
  if (size_bytes == 0) return nullptr;
  const std::size_t rounded_bytes = (size_bytes + alignment_bytes - 1) / alignment_bytes * alignment_bytes;
  void* memory = std::aligned_alloc(alignment_bytes, rounded_bytes);
  TORCH_CHECK(memory, "the stand-in for CUDA got no ", size_bytes, " bytes from the host");
  std::memset(memory, 0xFF, rounded_bytes);  // NaN in every floating type, far out of range in the others
  return memory;
}

struct DeviceMemory final : c10::Allocator {
  c10::DataPtr allocate(std::size_t size_bytes) override {
    void* memory = nan_filled(size_bytes);
    return {memory, memory, &std::free, cuda_0};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &std::free; }
  void copy_data(void* to, const void* from, std::size_t size_bytes) const override {
    std::memcpy(to, from, size_bytes);
  }
};
DeviceMemory device_memory;

// Memory of the host that asynchronous copies may use. It is known by its address, as CUDA knows it.
std::mutex pinned_mutex;
std::map<const char*, std::size_t> pinned_bytes_at;

void free_pinned(void* memory) {
  const std::lock_guard lock(pinned_mutex);
  pinned_bytes_at.erase(static_cast<const char*>(memory));
  std::free(memory);
}

bool is_pinned(const void* address) {
  const std::lock_guard lock(pinned_mutex);
  const auto* wanted = static_cast<const char*>(address);
  const auto after = pinned_bytes_at.upper_bound(wanted);
  if (after == pinned_bytes_at.begin()) return false;
  const auto& [start, size_bytes] = *std::prev(after);
  return wanted < start + size_bytes;
}

struct PinnedMemory final : c10::Allocator {
  c10::DataPtr allocate(std::size_t size_bytes) override {
    void* memory = nan_filled(size_bytes);
    const std::lock_guard lock(pinned_mutex);
    if (memory) pinned_bytes_at[static_cast<const char*>(memory)] = size_bytes;
    return {memory, memory, &free_pinned, cpu};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free_pinned; }
  void copy_data(void* to, const void* from, std::size_t size_bytes) const override {
    std::memcpy(to, from, size_bytes);
  }
};
PinnedMemory pinned_memory;

// ---- Tensors: one memory, seen from the device or from the host

Tensor tensor_on(c10::Storage storage, DispatchKeySet key, const Tensor& like) {
  Tensor made = at::detail::make_tensor<c10::TensorImpl>(std::move(storage), key, like.dtype());
  made.unsafeGetTensorImpl()->set_sizes_and_strides(like.sizes(), like.strides(), like.storage_offset());
  return made;
}

// Does not own the memory, so it must not outlive the operation that it is made for.
Tensor seen_from_the_host(const Tensor& on_device) {
  const c10::Storage& storage = on_device.storage();
  c10::DataPtr borrowed(storage.mutable_data(), cpu);
  c10::Storage seen(c10::Storage::use_byte_size_t(), storage.nbytes(), std::move(borrowed),
                    c10::GetAllocator(c10::DeviceType::CPU), /*resizable=*/true);
  return tensor_on(std::move(seen), cpu_key, on_device);
}

// The memory of a host's tensor as the device's, which keeps that tensor alive.
c10::DataPtr taken_over(const Tensor& on_host) {
  auto* owner = new Tensor(on_host);
  return {on_host.storage().mutable_data(), owner, [](void* held) { delete static_cast<Tensor*>(held); }, cuda_0};
}

Tensor moved_to_the_device(const Tensor& on_host) {
  c10::Storage storage(c10::Storage::use_byte_size_t(), on_host.storage().nbytes(), taken_over(on_host),
                       &device_memory, /*resizable=*/true);
  return tensor_on(std::move(storage), cuda_key, on_host);
}

// ---- Copies, and the streams that they wait on

struct LazyCopy {
  c10::StreamId stream;
  Tensor to, from;
};

constexpr c10::StreamId every_stream = -1;
thread_local c10::StreamId current_stream = 0;
std::atomic<c10::StreamId> next_stream{1};
std::mutex lazy_mutex;
std::vector<LazyCopy> lazy_copies;

bool copies_are_lazy() {
  static const char* set = std::getenv("RENDERLIFT_LAZY_COPIES");
  static const bool lazy = set && std::string(set) == "1";
  return lazy;
}

void copy_now(const Tensor& to, const Tensor& from) {
  const at::AutoDispatchBelowADInplaceOrView without_autograd;
  Tensor target = to.is_cuda() ? seen_from_the_host(to) : to;
  target.copy_(from.is_cuda() ? seen_from_the_host(from) : from);
}

// Makes the copies that wait on a stream, in the order in which they were asked for.
void finish(c10::StreamId stream) {
  if (!copies_are_lazy()) return;
  std::vector<LazyCopy> due;
  {
    const std::lock_guard lock(lazy_mutex);
    const auto is_other = [&](const LazyCopy& copy) { return stream != every_stream && copy.stream != stream; };
    const auto first_due = std::stable_partition(lazy_copies.begin(), lazy_copies.end(), is_other);
    due.assign(std::make_move_iterator(first_due), std::make_move_iterator(lazy_copies.end()));
    lazy_copies.erase(first_due, lazy_copies.end());
  }
  for (const LazyCopy& copy : due) copy_now(copy.to, copy.from);
}

Tensor& copy(Tensor& to, const Tensor& from, bool non_blocking) {
  finish(current_stream);
  // CUDA too waits for copies within the device's order, and for those from or to pageable memory.
  const bool crosses = to.is_cuda() != from.is_cuda();
  if (copies_are_lazy() && non_blocking && crosses && is_pinned((to.is_cuda() ? from : to).const_data_ptr())) {
    const at::AutoDispatchBelowADInplaceOrView without_autograd;
    const std::lock_guard lock(lazy_mutex);
    // Detached, so that what becomes of the caller's tensors changes nothing here.
    lazy_copies.push_back({current_stream, to.detach(), from.detach()});
  } else {
    copy_now(to, from);
  }
  return to;
}

// ---- Random numbers

// A generator of the CPU under the device's name.
struct DeviceGenerator final : c10::GeneratorImpl {
  explicit DeviceGenerator(at::Generator of_the_host)
      : GeneratorImpl(cuda_0, cuda_key), host(std::move(of_the_host)) {}

  // The same seed gives other numbers than on the CPU, as on a GPU.
  void set_current_seed(std::uint64_t seed) override {
    seed_ = seed;
    host.set_current_seed(seed ^ 0x5DEECE66DULL);
  }
  std::uint64_t current_seed() const override { return seed_; }
  std::uint64_t seed() override {
    set_current_seed(c10::detail::getNonDeterministicRandom(/*is_cuda=*/false));
    return seed_;
  }
  void set_offset(std::uint64_t) override {}
  std::uint64_t get_offset() const override { return 0; }
  void set_state(const c10::TensorImpl& state) override { host.unsafeGetGeneratorImpl()->set_state(state); }
  c10::intrusive_ptr<c10::TensorImpl> get_state() const override {
    return host.unsafeGetGeneratorImpl()->get_state();
  }
  GeneratorImpl* clone_impl() const override {
    auto* copied = new DeviceGenerator(host.clone());
    copied->seed_ = seed_;
    return copied;
  }

  at::Generator host;

 private:
  std::uint64_t seed_ = 0;
};

at::Generator new_generator() {
  auto made = at::make_generator<DeviceGenerator>(at::globalContext().defaultGenerator(cpu).clone());
  made.set_current_seed(0);
  return made;
}

const at::Generator& default_generator() {
  static const at::Generator generator = new_generator();
  return generator;
}

at::Generator host_generator(const at::Generator& generator) {
  return static_cast<DeviceGenerator*>(generator.unsafeGetGeneratorImpl())->host;
}

// ---- What torch asks a device about

struct Hooks final : at::CUDAHooksInterface {
  explicit Hooks(at::CUDAHooksArgs) {}
  void init() const override {}
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasCUDA() const override { return true; }
  bool hasPrimaryContext(DeviceIndex) const override { return true; }
  DeviceIndex deviceCount() const override { return 1; }
  int getNumGPUs() const override { return 1; }
  DeviceIndex current_device() const override { return 0; }
  DeviceIndex getCurrentDevice() const override { return 0; }
  void setCurrentDevice(DeviceIndex) const override {}
  DeviceIndex exchangeDevice(DeviceIndex) const override { return 0; }
  DeviceIndex maybeExchangeDevice(DeviceIndex) const override { return 0; }
  c10::Device getDeviceFromPtr(void*) const override { return cuda_0; }
  bool isPinnedPtr(const void* address) const override { return is_pinned(address); }
  c10::Allocator* getPinnedMemoryAllocator() const override { return &pinned_memory; }
  c10::Allocator* getCUDADeviceAllocator() const override { return &device_memory; }
  void deviceSynchronize(DeviceIndex) const override { finish(every_stream); }
  const at::Generator& getDefaultGenerator(DeviceIndex) const override { return default_generator(); }
  // Python can only ask for new ones. stand_in.py asks before anybody else, for torch.cuda.default_generators,
  // and so gets the default one.
  at::Generator getNewGenerator(DeviceIndex) const override {
    static std::atomic<bool> is_first{true};
    return is_first.exchange(false) ? default_generator() : new_generator();
  }
};

// An event is the number of the stream that it was recorded on, plus one since a null is no event. Waiting for it
// finishes all of that stream, also what was asked for after the event.
void* event_of(c10::StreamId stream) { return reinterpret_cast<void*>(stream + 1); }
c10::StreamId stream_of(void* event) { return reinterpret_cast<c10::StreamId>(event) - 1; }

struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return c10::DeviceType::CUDA; }
  DeviceIndex deviceCount() const noexcept override { return 1; }
  c10::Device getDevice() const override { return cuda_0; }
  c10::Device exchangeDevice(c10::Device) const override { return cuda_0; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}

  static Stream numbered(c10::StreamId number) { return Stream(Stream::UNSAFE, cuda_0, number); }
  Stream getStream(c10::Device) const override { return numbered(current_stream); }
  Stream getDefaultStream(c10::Device) const override { return numbered(0); }
  Stream getStreamFromGlobalPool(c10::Device, bool) const override { return numbered(next_stream++); }
  Stream getNewStream(c10::Device, int) const override { return numbered(next_stream++); }
  Stream exchangeStream(Stream stream) const override {
    return numbered(std::exchange(current_stream, stream.id()));
  }
  bool queryStream(const Stream& stream) const override { return finish(stream.id()), true; }
  void synchronizeStream(const Stream& stream) const override { finish(stream.id()); }
  void synchronizeDevice(DeviceIndex) const override { finish(every_stream); }

  void record(void** event, const Stream& stream, DeviceIndex, c10::EventFlag) const override {
    *event = event_of(stream.id());
  }
  void block(void* event, const Stream&) const override { finish(stream_of(event)); }
  bool queryEvent(void* event) const override { return finish(stream_of(event)), true; }
  void synchronizeEvent(void* event) const override { finish(stream_of(event)); }
  double elapsedTime(void*, void*, DeviceIndex) const override { return 0; }
};

// ---- Operations

// CUDA brings indices from the CPU to the device by itself.
bool takes_indices_of_the_cpu(const std::string& operation) {
  static const std::set<std::string> names{
      "aten::index",         "aten::index_put",        "aten::index_put_", "aten::_index_put_impl_",
      "aten::_unsafe_index", "aten::_unsafe_index_put"};
  return names.count(operation) > 0;
}

// One call of an operation: its tensors of the device, and the host's views that the CPU's kernel gets for them.
class Call {
 public:
  IValue for_the_host(const IValue& value, const c10::Argument& argument) {
    const auto seen = [&](const Tensor& tensor) { return host_view(tensor, argument.name()); };
    if (value.isTensor()) return seen(value.toTensor());
    if (value.isTensorList()) return each(value.toTensorVector(), seen);
    if (value.isOptionalTensorList()) {
      c10::List<std::optional<Tensor>> views;
      for (const std::optional<Tensor>& tensor : value.toOptionalTensorVector())
        views.push_back(tensor ? std::optional(seen(*tensor)) : std::nullopt);
      return views;
    }
    if (value.isDevice() && value.toDevice().is_cuda()) {
      asks_for_device_ = true;
      return cpu;
    }
    if (value.isGenerator()) {
      const at::Generator& generator = value.toGenerator();
      TORCH_CHECK(generator.device().is_cuda(), "Expected a 'cuda' device type for generator but found '",
                  generator.device().type(), "'");
      return host_generator(generator);
    }
    const bool lacks_generator = value.isNone() && argument.type()->str().find("Generator") != std::string::npos;
    return lacks_generator ? IValue(host_generator(default_generator())) : value;
  }

  void check_devices(const std::string& operation) const {
    TORCH_CHECK(stray_.empty() || views_.empty() || takes_indices_of_the_cpu(operation),
                "Expected all tensors to be on the same device, but got ", stray_,
                " is on cpu, different from other tensors on cuda:0 (when checking argument in method ",
                operation, ")");
  }

  // A kernel may have given its output another size, and for that another memory.
  void follow_changes_of_size() {
    for (const View& view : views_) {
      const c10::Storage& after = view.on_host.storage();
      if (after.data() != view.memory_before) {
        auto* storage = view.on_device.storage().unsafeGetStorageImpl();
        storage->set_data_ptr_noswap(taken_over(view.on_host));
        storage->set_nbytes(after.nbytes());
      }
      view.on_device.unsafeGetTensorImpl()->set_sizes_and_strides(
          view.on_host.sizes(), view.on_host.strides(), view.on_host.storage_offset());
    }
  }

  IValue for_the_device(const IValue& value) const {
    const auto returned = [&](const Tensor& tensor) { return device_tensor(tensor); };
    if (value.isTensor()) return returned(value.toTensor());
    if (value.isTensorList()) return each(value.toTensorVector(), returned);
    return value;
  }

 private:
  struct View {
    Tensor on_device, on_host;
    const void* memory_before;
  };

  template <typename Change>
  static c10::List<Tensor> each(const std::vector<Tensor>& tensors, Change change) {
    c10::List<Tensor> changed;
    for (const Tensor& tensor : tensors) changed.push_back(change(tensor));
    return changed;
  }

  Tensor host_view(const Tensor& tensor, const std::string& argument) {
    if (!tensor.defined()) return tensor;
    if (!tensor.is_cuda()) {
      // A single number of the CPU is welcome on a GPU too.
      if (tensor.is_cpu() && tensor.dim() > 0 && stray_.empty()) stray_ = argument;
      return tensor;
    }
    for (const View& view : views_)
      if (view.on_device.is_same(tensor)) return view.on_host;
    Tensor seen = seen_from_the_host(tensor);
    views_.push_back({tensor, seen, seen.storage().data()});
    return seen;
  }

  Tensor device_tensor(const Tensor& tensor) const {
    if (!tensor.defined() || !tensor.is_cpu()) return tensor;
    for (const View& view : views_)
      if (view.on_host.is_same(tensor)) return view.on_device;
    for (const View& view : views_)  // part of an input
      if (tensor.storage().nbytes() && tensor.storage().data() == view.on_device.storage().data())
        return tensor_on(view.on_device.storage(), cuda_key, tensor);
    return views_.empty() && !asks_for_device_ ? tensor : moved_to_the_device(tensor);
  }

  std::vector<View> views_;
  std::string stray_;  // the first argument that is an array on the CPU
  bool asks_for_device_ = false;
};

void run_on_the_cpu(const c10::OperatorHandle& operation, DispatchKeySet, torch::jit::Stack* stack) {
  finish(current_stream);
  const c10::FunctionSchema& schema = operation.schema();
  Call call;
  const std::size_t first_argument = stack->size() - schema.arguments().size();
  for (std::size_t i = 0; i < schema.arguments().size(); i++)
    (*stack)[first_argument + i] = call.for_the_host((*stack)[first_argument + i], schema.arguments()[i]);
  call.check_devices(schema.name());
  operation.redispatchBoxed(cpu_key, stack);
  call.follow_changes_of_size();
  for (std::size_t i = stack->size() - schema.returns().size(); i < stack->size(); i++)
    (*stack)[i] = call.for_the_device((*stack)[i]);
}

using Kind = std::optional<at::ScalarType>;

Tensor empty(at::IntArrayRef size, Kind dtype, std::optional<at::Layout>, std::optional<at::Device>,
             std::optional<bool>, std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(size, &device_memory, cuda_key, c10::dtype_or_default(dtype), format);
}

Tensor empty_strided(at::IntArrayRef size, at::IntArrayRef stride, Kind dtype, std::optional<at::Layout>,
                     std::optional<at::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(size, stride, &device_memory, cuda_key, c10::dtype_or_default(dtype));
}

void record_stream(Tensor&, Stream) {}

// Scaled dot product attention asks which of its kernels to take: 0 is the one made of other operations.
std::int64_t attention_of_plain_operations(const Tensor&, const Tensor&, const Tensor&,
                                           const std::optional<Tensor>&, double, bool, std::optional<double>,
                                           bool) {
  return 0;
}

const bool is_set_up = [] {
  at::native::_fused_sdp_choice_stub.set_cuda_dispatch_ptr(&attention_of_plain_operations);
  c10::SetAllocator(c10::DeviceType::CUDA, &device_memory);
  return true;
}();

}  // namespace

// These two macros name what they register by the plain names of its classes.
namespace at {
C10_REGISTER_CLASS(CUDAHooksRegistry, CUDAHooks, Hooks)
}
namespace c10::impl {
C10_REGISTER_GUARD_IMPL(CUDA, Guard)
}

TORCH_LIBRARY_IMPL(_, CUDA, library) {
  library.fallback(torch::CppFunction::makeFromBoxedFunction<&run_on_the_cpu>());
}

TORCH_LIBRARY_IMPL(aten, CUDA, library) {
  library.impl("empty.memory_format", empty);
  library.impl("empty_strided", empty_strided);
  library.impl("copy_", copy);
  library.impl("record_stream", record_stream);
  // What only changes how memory is seen, or how much of it there is, must act on the device's own tensors. The
  // CPU's kernels do that for any memory.
  library.impl("view", TORCH_FN(at::native::view));
  library.impl("_reshape_alias", TORCH_FN(at::native::_reshape_alias));
  library.impl("as_strided", TORCH_FN(at::native::as_strided_tensorimpl));
  library.impl("resize_", TORCH_FN(at::native::resize_));
  library.impl("set_.source_Storage", static_cast<Tensor& (*)(Tensor&, c10::Storage)>(&at::native::set_));
  library.impl("set_.source_Storage_storage_offset", TORCH_FN(at::native::set_storage_cpu_));
  library.impl("set_.source_Tensor", TORCH_FN(at::native::set_tensor_));
  // These have kernels for every device: convolutions look for cuDNN, the loss warns about the size of its output.
  for (const char* name : {"convolution", "convolution_backward", "mse_loss"})
    library.impl(name, torch::CppFunction::makeFromBoxedFunction<&run_on_the_cpu>());
}
