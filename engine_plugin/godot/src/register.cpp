// The entry that renderlift.gdextension names.
#include "godot.h"
#include "publisher.h"

namespace {

void initialize(void*, GDExtensionInitializationLevel level) {
  if (level == GDEXTENSION_INITIALIZATION_SCENE) renderlift::godot::register_publisher();
}

void deinitialize(void*, GDExtensionInitializationLevel level) {
  if (level == GDEXTENSION_INITIALIZATION_SCENE) renderlift::godot::unregister_publisher();
}

}  // namespace

#if defined(_WIN32)
#define RENDERLIFT_EXPORT __declspec(dllexport)
#else
#define RENDERLIFT_EXPORT __attribute__((visibility("default")))
#endif

extern "C" RENDERLIFT_EXPORT GDExtensionBool renderlift_init(GDExtensionInterfaceGetProcAddress get_proc_address,
                                                             GDExtensionClassLibraryPtr library,
                                                             GDExtensionInitialization* initialization) {
  if (!renderlift::godot::fetch_interface(get_proc_address, library)) return 0;
  initialization->minimum_initialization_level = GDEXTENSION_INITIALIZATION_SCENE;
  initialization->initialize = initialize;
  initialization->deinitialize = deinitialize;
  return 1;
}
