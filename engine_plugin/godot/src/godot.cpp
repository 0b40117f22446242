#include "godot.h"

#include <cstring>

namespace renderlift::godot {
namespace {

using StringName = Value;

constexpr GDExtensionInt hash_of_size = 3173160232;   // the same for every Packed...Array, 4.0 to 4.6
constexpr GDExtensionInt hash_of_resize = 848867239;  // extension_api.json lists both

GDExtensionClassLibraryPtr library = nullptr;

// One entry per function of the interface that is used.
GDExtensionInterfaceStringNameNewWithLatin1Chars string_name_new = nullptr;
GDExtensionInterfaceStringNewWithUtf8CharsAndLen string_new = nullptr;
GDExtensionInterfaceStringToUtf8Chars string_to_utf8 = nullptr;
GDExtensionInterfacePackedByteArrayOperatorIndex byte_at = nullptr;
GDExtensionInterfacePackedByteArrayOperatorIndexConst const_byte_at = nullptr;
GDExtensionInterfacePackedInt32ArrayOperatorIndexConst const_int_at = nullptr;
GDExtensionInterfacePackedFloat64ArrayOperatorIndexConst const_double_at = nullptr;
GDExtensionInterfaceVariantGetType variant_type = nullptr;
GDExtensionInterfaceClassdbConstructObject construct_object = nullptr;
GDExtensionInterfaceObjectSetInstance object_set_instance = nullptr;
GDExtensionInterfaceClassdbRegisterExtensionClass3 class_register = nullptr;
GDExtensionInterfaceClassdbUnregisterExtensionClass class_unregister = nullptr;
GDExtensionInterfaceClassdbRegisterExtensionClassMethod method_register = nullptr;

std::array<GDExtensionPtrDestructor, GDEXTENSION_VARIANT_TYPE_VARIANT_MAX> destructors{};
std::array<GDExtensionTypeFromVariantConstructorFunc, GDEXTENSION_VARIANT_TYPE_VARIANT_MAX> from_variants{};
std::array<GDExtensionVariantFromTypeConstructorFunc, GDEXTENSION_VARIANT_TYPE_VARIANT_MAX> to_variants{};
std::array<GDExtensionPtrBuiltInMethod, GDEXTENSION_VARIANT_TYPE_VARIANT_MAX> sizes{};
GDExtensionPtrConstructor bytes_constructor = nullptr, bytes_copy_constructor = nullptr;
GDExtensionPtrBuiltInMethod bytes_resize = nullptr;

StringName name_of(const char* text) {
  StringName name;
  string_name_new(&name, text, 0);
  return name;
}

void free_name(StringName& name) { destroy(GDEXTENSION_VARIANT_TYPE_STRING_NAME, &name); }

std::size_t array_size(GDExtensionVariantType type, GDExtensionConstTypePtr array) {
  std::int64_t size = 0;
  sizes[type](const_cast<GDExtensionTypePtr>(array), nullptr, &size, 0);
  return static_cast<std::size_t>(size);
}

template <class T>
bool fetch(GDExtensionInterfaceGetProcAddress get, T& function, const char* name) {
  function = reinterpret_cast<T>(get(name));
  return function != nullptr;
}

bool fetch_types(GDExtensionInterfaceGetProcAddress get) {
  GDExtensionInterfaceVariantGetPtrDestructor destructor = nullptr;
  GDExtensionInterfaceGetVariantToTypeConstructor from_variant_constructor = nullptr;
  GDExtensionInterfaceGetVariantFromTypeConstructor to_variant_constructor = nullptr;
  GDExtensionInterfaceVariantGetPtrBuiltinMethod builtin = nullptr;
  GDExtensionInterfaceVariantGetPtrConstructor constructor = nullptr;
  if (!fetch(get, destructor, "variant_get_ptr_destructor") ||
      !fetch(get, from_variant_constructor, "get_variant_to_type_constructor") ||
      !fetch(get, to_variant_constructor, "get_variant_from_type_constructor") ||
      !fetch(get, builtin, "variant_get_ptr_builtin_method") ||
      !fetch(get, constructor, "variant_get_ptr_constructor")) {
    return false;
  }
  destructors[GDEXTENSION_VARIANT_TYPE_STRING_NAME] = destructor(GDEXTENSION_VARIANT_TYPE_STRING_NAME);
  StringName size = name_of("size");
  StringName resize = name_of("resize");
  for (auto type : {GDEXTENSION_VARIANT_TYPE_BOOL, GDEXTENSION_VARIANT_TYPE_INT, GDEXTENSION_VARIANT_TYPE_STRING,
                    GDEXTENSION_VARIANT_TYPE_PACKED_BYTE_ARRAY, GDEXTENSION_VARIANT_TYPE_PACKED_INT32_ARRAY,
                    GDEXTENSION_VARIANT_TYPE_PACKED_FLOAT64_ARRAY}) {
    destructors[type] = destructor(type);  // null for bool and int
    from_variants[type] = from_variant_constructor(type);
    to_variants[type] = to_variant_constructor(type);
    if (type >= GDEXTENSION_VARIANT_TYPE_PACKED_BYTE_ARRAY) sizes[type] = builtin(type, &size, hash_of_size);
  }
  bytes_constructor = constructor(GDEXTENSION_VARIANT_TYPE_PACKED_BYTE_ARRAY, 0);
  bytes_copy_constructor = constructor(GDEXTENSION_VARIANT_TYPE_PACKED_BYTE_ARRAY, 1);  // extension_api.json: "from"
  bytes_resize = builtin(GDEXTENSION_VARIANT_TYPE_PACKED_BYTE_ARRAY, &resize, hash_of_resize);
  free_name(size);
  free_name(resize);
  return bytes_constructor != nullptr && bytes_copy_constructor != nullptr && bytes_resize != nullptr && sizes[GDEXTENSION_VARIANT_TYPE_PACKED_BYTE_ARRAY];
}

}  // namespace

bool fetch_interface(GDExtensionInterfaceGetProcAddress get, GDExtensionClassLibraryPtr our_library) {
  library = our_library;
  return fetch(get, string_name_new, "string_name_new_with_latin1_chars") &&
         fetch(get, string_new, "string_new_with_utf8_chars_and_len") &&
         fetch(get, string_to_utf8, "string_to_utf8_chars") &&
         fetch(get, byte_at, "packed_byte_array_operator_index") &&
         fetch(get, const_byte_at, "packed_byte_array_operator_index_const") &&
         fetch(get, const_int_at, "packed_int32_array_operator_index_const") &&
         fetch(get, const_double_at, "packed_float64_array_operator_index_const") &&
         fetch(get, variant_type, "variant_get_type") &&
         fetch(get, construct_object, "classdb_construct_object") &&
         fetch(get, object_set_instance, "object_set_instance") &&
         fetch(get, class_register, "classdb_register_extension_class3") &&
         fetch(get, class_unregister, "classdb_unregister_extension_class") &&
         fetch(get, method_register, "classdb_register_extension_class_method") && fetch_types(get);
}

std::string read_string(GDExtensionConstTypePtr string) {
  std::string text(static_cast<std::size_t>(string_to_utf8(string, nullptr, 0)), '\0');
  string_to_utf8(string, text.data(), static_cast<GDExtensionInt>(text.size()));
  return text;
}

SharedBytes share_bytes(GDExtensionConstTypePtr array) {
  constexpr auto type = GDEXTENSION_VARIANT_TYPE_PACKED_BYTE_ARRAY;
  auto* reference = new Value;
  bytes_copy_constructor(reference, &array);
  const std::size_t size = array_size(type, reference);
  const auto drop = [](Value* value) {
    destroy(type, value);
    delete value;
  };
  return {{size > 0 ? const_byte_at(reference, 0) : nullptr, size}, std::shared_ptr<Value>(reference, drop)};
}

Span<const std::int32_t> read_ints(GDExtensionConstTypePtr array) {
  const std::size_t size = array_size(GDEXTENSION_VARIANT_TYPE_PACKED_INT32_ARRAY, array);
  return {size > 0 ? const_int_at(array, 0) : nullptr, size};
}

Span<const double> read_doubles(GDExtensionConstTypePtr array) {
  const std::size_t size = array_size(GDEXTENSION_VARIANT_TYPE_PACKED_FLOAT64_ARRAY, array);
  return {size > 0 ? const_double_at(array, 0) : nullptr, size};
}

void new_string(GDExtensionUninitializedTypePtr into, const std::string& text) {
  string_new(into, text.data(), static_cast<GDExtensionInt>(text.size()));
}

void new_bytes(GDExtensionUninitializedTypePtr into, const std::vector<std::uint8_t>& bytes) {
  bytes_constructor(into, nullptr);
  if (bytes.empty()) return;
  const auto size = static_cast<std::int64_t>(bytes.size());
  const std::array<GDExtensionConstTypePtr, 1> arguments{&size};
  std::int64_t error = 0;
  bytes_resize(into, arguments.data(), &error, 1);
  std::memcpy(byte_at(into, 0), bytes.data(), bytes.size());
}

void destroy(GDExtensionVariantType type, GDExtensionTypePtr value) {
  if (destructors[type]) destructors[type](value);
}

bool from_variant(GDExtensionVariantType type, GDExtensionConstVariantPtr variant, GDExtensionTypePtr into) {
  if (variant_type(variant) != type) return false;
  from_variants[type](into, const_cast<GDExtensionVariantPtr>(variant));
  return true;
}

void to_variant(GDExtensionVariantType type, GDExtensionUninitializedVariantPtr into, GDExtensionTypePtr value) {
  to_variants[type](into, value);
}

void register_class(const char* name, const char* parent, GDExtensionClassCreateInstance create,
                    GDExtensionClassFreeInstance free_instance) {
  StringName class_name = name_of(name);
  StringName parent_name = name_of(parent);
  GDExtensionClassCreationInfo3 info{};
  info.is_exposed = 1;
  info.create_instance_func = create;
  info.free_instance_func = free_instance;
  class_register(library, &class_name, &parent_name, &info);
  free_name(class_name);
  free_name(parent_name);
}

void unregister_class(const char* name) {
  StringName class_name = name_of(name);
  class_unregister(library, &class_name);
  free_name(class_name);
}

GDExtensionObjectPtr construct(const char* parent) {
  StringName name = name_of(parent);
  GDExtensionObjectPtr object = construct_object(&name);
  free_name(name);
  return object;
}

void set_instance(GDExtensionObjectPtr object, const char* class_name, GDExtensionClassInstancePtr instance) {
  StringName name = name_of(class_name);
  object_set_instance(object, &name, instance);
  free_name(name);
}

void add_method(const char* class_name, const char* name, GDExtensionClassMethodCall call,
                GDExtensionClassMethodPtrCall ptrcall, const std::vector<GDExtensionVariantType>& arguments,
                GDExtensionVariantType result) {
  StringName class_string = name_of(class_name);
  StringName method_name = name_of(name);
  StringName empty_name = name_of("");
  Value empty_string;
  new_string(&empty_string, "");
  constexpr std::uint32_t usage_default = 6;
  auto property = [&](GDExtensionVariantType type) {
    return GDExtensionPropertyInfo{type, &empty_name, &empty_name, 0, &empty_string, usage_default};
  };
  std::vector<GDExtensionPropertyInfo> argument_infos;
  for (GDExtensionVariantType type : arguments) argument_infos.push_back(property(type));
  std::vector<GDExtensionClassMethodArgumentMetadata> metadata(arguments.size(),
                                                               GDEXTENSION_METHOD_ARGUMENT_METADATA_NONE);
  GDExtensionPropertyInfo result_info = property(result);
  GDExtensionClassMethodInfo info{};
  info.name = &method_name;
  info.call_func = call;
  info.ptrcall_func = ptrcall;
  info.method_flags = GDEXTENSION_METHOD_FLAGS_DEFAULT;
  info.has_return_value = 1;
  info.return_value_info = &result_info;
  info.return_value_metadata = GDEXTENSION_METHOD_ARGUMENT_METADATA_NONE;
  info.argument_count = static_cast<std::uint32_t>(arguments.size());
  info.arguments_info = argument_infos.data();
  info.arguments_metadata = metadata.data();
  method_register(library, &class_string, &info);
  destroy(GDEXTENSION_VARIANT_TYPE_STRING, &empty_string);
  free_name(class_string);
  free_name(method_name);
  free_name(empty_name);
}

}  // namespace renderlift::godot
