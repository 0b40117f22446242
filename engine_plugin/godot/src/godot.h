// What this extension needs of Godot's C interface: one class, methods, and values that cross.
//
// A method is bound by its address; arguments and results convert by their C++ type:
//   std::int64_t int, bool bool, std::string String, Span<const T> Packed...Array (borrowed during the call),
//   SharedBytes PackedByteArray (kept for as long as wanted), std::vector<std::uint8_t> PackedByteArray (result).
#pragma once

#include <gdextension_interface.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace renderlift::godot {

template <class T>
struct Span {
  const T* data = nullptr;
  std::size_t size = 0;
};

// A PackedByteArray without a copy: Godot counts references, and whoever writes to the array later writes to a copy.
struct SharedBytes {
  Span<const std::uint8_t> bytes;
  std::shared_ptr<const void> owner;  // one reference; may be dropped on any thread
};

// Room for one Godot value of any type used here (64-bit Godot: String 8, Packed...Array 16 bytes).
struct alignas(8) Value {
  std::array<unsigned char, 16> bytes{};
};

// Fetches the functions of the interface. False if Godot is older than 4.3.
bool fetch_interface(GDExtensionInterfaceGetProcAddress get_proc_address, GDExtensionClassLibraryPtr library);

std::string read_string(GDExtensionConstTypePtr string);
SharedBytes share_bytes(GDExtensionConstTypePtr array);
Span<const std::int32_t> read_ints(GDExtensionConstTypePtr array);
Span<const double> read_doubles(GDExtensionConstTypePtr array);

void new_string(GDExtensionUninitializedTypePtr into, const std::string& text);
void new_bytes(GDExtensionUninitializedTypePtr into, const std::vector<std::uint8_t>& bytes);

void destroy(GDExtensionVariantType type, GDExtensionTypePtr value);
bool from_variant(GDExtensionVariantType type, GDExtensionConstVariantPtr variant, GDExtensionTypePtr into);
void to_variant(GDExtensionVariantType type, GDExtensionUninitializedVariantPtr into, GDExtensionTypePtr value);

void register_class(const char* name, const char* parent, GDExtensionClassCreateInstance create,
                    GDExtensionClassFreeInstance free_instance);
void unregister_class(const char* name);
GDExtensionObjectPtr construct(const char* parent);
void set_instance(GDExtensionObjectPtr object, const char* class_name, GDExtensionClassInstancePtr instance);
void add_method(const char* class_name, const char* name, GDExtensionClassMethodCall call,
                GDExtensionClassMethodPtrCall ptrcall, const std::vector<GDExtensionVariantType>& arguments,
                GDExtensionVariantType result);

template <class T>
struct Type;
template <>
struct Type<std::int64_t> {
  static constexpr auto variant = GDEXTENSION_VARIANT_TYPE_INT;
  static std::int64_t read(GDExtensionConstTypePtr p) { return *static_cast<const std::int64_t*>(p); }
  static void make(void* p, std::int64_t v) { *static_cast<std::int64_t*>(p) = v; }
};
template <>
struct Type<bool> {
  static constexpr auto variant = GDEXTENSION_VARIANT_TYPE_BOOL;
  static bool read(GDExtensionConstTypePtr p) { return *static_cast<const std::uint8_t*>(p) != 0; }
  static void make(void* p, bool v) { *static_cast<std::uint8_t*>(p) = v ? 1 : 0; }
};
template <>
struct Type<std::string> {
  static constexpr auto variant = GDEXTENSION_VARIANT_TYPE_STRING;
  static std::string read(GDExtensionConstTypePtr p) { return read_string(p); }
  static void make(void* p, const std::string& v) { new_string(p, v); }
};
template <>
struct Type<SharedBytes> {
  static constexpr auto variant = GDEXTENSION_VARIANT_TYPE_PACKED_BYTE_ARRAY;
  static SharedBytes read(GDExtensionConstTypePtr p) { return share_bytes(p); }
};
template <>
struct Type<std::vector<std::uint8_t>> {
  static constexpr auto variant = GDEXTENSION_VARIANT_TYPE_PACKED_BYTE_ARRAY;
  static void make(void* p, const std::vector<std::uint8_t>& v) { new_bytes(p, v); }
};
template <>
struct Type<Span<const std::int32_t>> {
  static constexpr auto variant = GDEXTENSION_VARIANT_TYPE_PACKED_INT32_ARRAY;
  static Span<const std::int32_t> read(GDExtensionConstTypePtr p) { return read_ints(p); }
};
template <>
struct Type<Span<const double>> {
  static constexpr auto variant = GDEXTENSION_VARIANT_TYPE_PACKED_FLOAT64_ARRAY;
  static Span<const double> read(GDExtensionConstTypePtr p) { return read_doubles(p); }
};

// The two ways in which Godot calls a method: with Variants, and with pointers to values.
template <auto method>
struct Method;

template <class Object, class Result, class... Arguments, Result (Object::*method)(Arguments...)>
struct Method<method> {
  using Indices = std::index_sequence_for<Arguments...>;

  static void call(void*, GDExtensionClassInstancePtr object, const GDExtensionConstVariantPtr* arguments,
                   GDExtensionInt count, GDExtensionVariantPtr result, GDExtensionCallError* error) {
    constexpr GDExtensionInt wanted = sizeof...(Arguments);
    if (count != wanted) {
      error->error = count < wanted ? GDEXTENSION_CALL_ERROR_TOO_FEW_ARGUMENTS : GDEXTENSION_CALL_ERROR_TOO_MANY_ARGUMENTS;
      error->expected = static_cast<std::int32_t>(wanted);
      return;
    }
    call_variants(static_cast<Object*>(object), arguments, result, error, Indices{});
  }

  static void ptrcall(void*, GDExtensionClassInstancePtr object, const GDExtensionConstTypePtr* arguments,
                      GDExtensionTypePtr result) {
    call_pointers(static_cast<Object*>(object), arguments, result, Indices{});
  }

  static void add(const char* class_name, const char* name) {
    add_method(class_name, name, call, ptrcall, {Type<Arguments>::variant...}, Type<Result>::variant);
  }

 private:
  template <std::size_t... i>
  static void call_variants(Object* object, [[maybe_unused]] const GDExtensionConstVariantPtr* arguments,
                            GDExtensionVariantPtr result, GDExtensionCallError* error, std::index_sequence<i...>) {
    constexpr std::array<GDExtensionVariantType, sizeof...(i)> types{Type<Arguments>::variant...};
    std::array<Value, sizeof...(i)> values;
    for (std::size_t n = 0; n < sizeof...(i); ++n) {
      if (from_variant(types[n], arguments[n], &values[n])) continue;
      error->error = GDEXTENSION_CALL_ERROR_INVALID_ARGUMENT;
      error->argument = static_cast<std::int32_t>(n);
      error->expected = types[n];
      while (n-- > 0) destroy(types[n], &values[n]);
      return;
    }
    Value made;
    Type<Result>::make(&made, (object->*method)(Type<Arguments>::read(&values[i])...));
    to_variant(Type<Result>::variant, result, &made);
    destroy(Type<Result>::variant, &made);
    for (std::size_t n = 0; n < sizeof...(i); ++n) destroy(types[n], &values[n]);
  }

  template <std::size_t... i>
  static void call_pointers(Object* object, [[maybe_unused]] const GDExtensionConstTypePtr* arguments,
                            GDExtensionTypePtr result, std::index_sequence<i...>) {
    auto value = (object->*method)(Type<Arguments>::read(arguments[i])...);
    destroy(Type<Result>::variant, result);
    Type<Result>::make(result, value);
  }
};

}  // namespace renderlift::godot
