# libzmq as a static library, position independent, so that a plugin built on the core depends on libc alone.
# Distributions' own libzmq.a does not serve: Debian's pulls in gssapi, pgm and norm, and is not position independent.
#
#   RENDERLIFT_ZEROMQ_SOURCE   a folder with libzmq's source, instead of a download
#   RENDERLIFT_SODIUM_SOURCE   likewise for libsodium
#   RENDERLIFT_THIRD_PARTY     where they are built; builds with one compiler and its flags can share a folder
#   RENDERLIFT_CURVE           OFF leaves encryption out: bridges on other machines cannot be reached then
#
# Versions are those of Debian 12, pinned by hash. libzmq 4.3.4 is LGPL-3.0 with an exception that allows static
# linking; 4.3.5 is MPL-2.0 and builds with the same lines.
include(ExternalProject)

option(RENDERLIFT_CURVE "Encrypted connections to bridges on other machines" ON)
set(RENDERLIFT_ZEROMQ_SOURCE "" CACHE PATH "Folder with libzmq's source")
set(RENDERLIFT_SODIUM_SOURCE "" CACHE PATH "Folder with libsodium's source")
set(RENDERLIFT_THIRD_PARTY "${CMAKE_CURRENT_BINARY_DIR}/third_party" CACHE PATH "Where libzmq is built")
set(_pool http://deb.debian.org/debian/pool/main)

function(_renderlift_source variable folder url hash)
  if(folder)
    set(${variable} SOURCE_DIR ${folder} PARENT_SCOPE)
  else()
    set(${variable} URL ${url} URL_HASH SHA256=${hash} DOWNLOAD_EXTRACT_TIMESTAMP TRUE PARENT_SCOPE)
  endif()
endfunction()

# Both libraries are built with our compiler and our flags (sanitizers among them), but never with our warnings.
set(_arguments
  -DCMAKE_BUILD_TYPE=Release
  -DCMAKE_POSITION_INDEPENDENT_CODE=ON
  -DCMAKE_POLICY_VERSION_MINIMUM=3.5
  -DCMAKE_C_COMPILER=${CMAKE_C_COMPILER}
  -DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER}
  "-DCMAKE_C_FLAGS=${CMAKE_C_FLAGS} ${RENDERLIFT_THIRD_PARTY_FLAGS} -w"
  "-DCMAKE_CXX_FLAGS=${CMAKE_CXX_FLAGS} ${RENDERLIFT_THIRD_PARTY_FLAGS} -w")
if(CMAKE_TOOLCHAIN_FILE)
  list(APPEND _arguments -DCMAKE_TOOLCHAIN_FILE=${CMAKE_TOOLCHAIN_FILE})
endif()

set(_prefix ${RENDERLIFT_THIRD_PARTY})
set(_sodium_options -DENABLE_CURVE=OFF -DWITH_LIBSODIUM=OFF)
if(RENDERLIFT_CURVE)
  _renderlift_source(_source "${RENDERLIFT_SODIUM_SOURCE}" ${_pool}/libs/libsodium/libsodium_1.0.18.orig.tar.gz
    d59323c6b712a1519a5daf710b68f5e7fde57040845ffec53850911f10a5d4f4)
  # Its own build wants autotools; the portable part of it is a list of C files.
  ExternalProject_Add(renderlift_sodium ${_source}
    PREFIX ${_prefix}/sodium
    PATCH_COMMAND ${CMAKE_COMMAND} -E copy ${CMAKE_CURRENT_LIST_DIR}/sodium/CMakeLists.txt <SOURCE_DIR>/CMakeLists.txt
    CMAKE_ARGS ${_arguments} -DCMAKE_INSTALL_PREFIX=${_prefix}
    BUILD_BYPRODUCTS ${_prefix}/lib/libsodium.a)
  set(_sodium_options -DENABLE_CURVE=ON -DWITH_LIBSODIUM=ON -DWITH_LIBSODIUM_STATIC=ON
    -DSODIUM_INCLUDE_DIRS=${_prefix}/include -DSODIUM_LIBRARIES=${_prefix}/lib/libsodium.a)
  set(_needs DEPENDS renderlift_sodium)
endif()

# libzmq takes every compiler for Windows that knows Unix sockets for Microsoft's.
if(MINGW)
  list(APPEND _sodium_options -DZMQ_HAVE_IPC=OFF)
endif()

_renderlift_source(_source "${RENDERLIFT_ZEROMQ_SOURCE}" ${_pool}/z/zeromq3/zeromq3_4.3.4.orig.tar.gz
  0ff5a531c9ffaf0dfdc7dc78d13d1383088f454896d252934c429b2554d10559)
ExternalProject_Add(renderlift_libzmq ${_source}
  PREFIX ${_prefix}/libzmq
  ${_needs}
  CMAKE_ARGS ${_arguments} ${_sodium_options} -DCMAKE_INSTALL_PREFIX=${_prefix} -DCMAKE_INSTALL_LIBDIR=lib
    -DBUILD_SHARED=OFF -DBUILD_STATIC=ON -DBUILD_TESTS=OFF -DWITH_PERF_TOOL=OFF -DWITH_DOCS=OFF -DWITH_DOC=OFF
    -DENABLE_DRAFTS=OFF -DENABLE_WS=OFF -DWITH_TLS=OFF -DWITH_LIBBSD=OFF -DWITH_OPENPGM=OFF -DWITH_NORM=OFF
    -DENABLE_CPACK=OFF -DENABLE_CLANG=OFF -DLIBZMQ_WERROR=OFF -DENABLE_PRECOMPILED=OFF
  BUILD_BYPRODUCTS ${_prefix}/lib/libzmq.a)

file(MAKE_DIRECTORY ${_prefix}/include)
add_library(renderlift_zmq INTERFACE)
add_dependencies(renderlift_zmq renderlift_libzmq)
target_compile_definitions(renderlift_zmq INTERFACE ZMQ_STATIC)
target_include_directories(renderlift_zmq SYSTEM INTERFACE ${_prefix}/include)
find_package(Threads REQUIRED)
target_link_libraries(renderlift_zmq INTERFACE ${_prefix}/lib/libzmq.a)
if(RENDERLIFT_CURVE)
  target_link_libraries(renderlift_zmq INTERFACE ${_prefix}/lib/libsodium.a)
endif()
target_link_libraries(renderlift_zmq INTERFACE Threads::Threads)
if(WIN32)
  target_link_libraries(renderlift_zmq INTERFACE ws2_32 iphlpapi rpcrt4 advapi32)
endif()
