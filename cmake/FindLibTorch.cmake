# Finds LibTorch, CPU or CUDA build, in a Python wheel or in an unpacked libtorch archive, and makes the imported target LibTorch::LibTorch.
#
# Torch's own package (find_package(Torch)) insists on a CUDA toolkit whenever the wheel was built with CUDA, although linking needs none.
# This module needs nothing but the headers and the libraries.
#
# Searched, in this order: -DLIBTORCH_ROOT, CMAKE_PREFIX_PATH (its entries, or the value of torch.utils.cmake_prefix_path), the Python
# environment .venv of the source tree.
#
# With LibTorch_WITHOUT_CUDA, the target does not link the CUDA libraries: a program can open them at run time, where there are any.
#
# Sets LibTorch_FOUND, LibTorch_VERSION, LibTorch_ROOT_DIR, LibTorch_LIBRARY_DIR and LibTorch_CUDA (whether the build has CUDA).

set(_libtorch_hints "")
if(LIBTORCH_ROOT)
  list(APPEND _libtorch_hints "${LIBTORCH_ROOT}")
endif()
foreach(_prefix IN LISTS CMAKE_PREFIX_PATH)
  list(APPEND _libtorch_hints "${_prefix}" "${_prefix}/../..") # <root>/share/cmake is what torch.utils.cmake_prefix_path gives
endforeach()
file(GLOB _libtorch_venv "${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch")
list(APPEND _libtorch_hints ${_libtorch_venv})

find_path(LibTorch_INCLUDE_DIR NAMES torch/script.h HINTS ${_libtorch_hints} PATH_SUFFIXES include NO_DEFAULT_PATH)
find_path(LibTorch_INCLUDE_DIR NAMES torch/script.h)
if(LibTorch_INCLUDE_DIR)
  get_filename_component(LibTorch_ROOT_DIR "${LibTorch_INCLUDE_DIR}/.." REALPATH)
  set(LibTorch_LIBRARY_DIR "${LibTorch_ROOT_DIR}/lib")
  foreach(_lib IN ITEMS c10 torch torch_cpu torch_cuda c10_cuda)
    find_library(LibTorch_${_lib}_LIBRARY NAMES ${_lib} HINTS "${LibTorch_LIBRARY_DIR}" NO_DEFAULT_PATH)
    mark_as_advanced(LibTorch_${_lib}_LIBRARY)
  endforeach()
  if(EXISTS "${LibTorch_INCLUDE_DIR}/torch/headeronly/version.h")
    set(_libtorch_version_header "${LibTorch_INCLUDE_DIR}/torch/headeronly/version.h")
  else()
    set(_libtorch_version_header "${LibTorch_INCLUDE_DIR}/torch/csrc/api/include/torch/version.h")
  endif()
  foreach(_part IN ITEMS MAJOR MINOR PATCH)
    file(STRINGS "${_libtorch_version_header}" _libtorch_${_part} REGEX "#define TORCH_VERSION_${_part} ")
    string(REGEX REPLACE ".*TORCH_VERSION_${_part} +([0-9]+).*" "\\1" _libtorch_${_part} "${_libtorch_${_part}}")
  endforeach()
  set(LibTorch_VERSION "${_libtorch_MAJOR}.${_libtorch_MINOR}.${_libtorch_PATCH}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  LibTorch
  REQUIRED_VARS LibTorch_INCLUDE_DIR LibTorch_c10_LIBRARY LibTorch_torch_LIBRARY LibTorch_torch_cpu_LIBRARY
  VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE "run scripts/setup.sh, or pass as -DCMAKE_PREFIX_PATH what Python's torch.utils.cmake_prefix_path says"
)
mark_as_advanced(LibTorch_INCLUDE_DIR)

if(LibTorch_FOUND AND NOT TARGET LibTorch::LibTorch)
  set(LibTorch_CUDA OFF)
  set(_libtorch_link "${LibTorch_torch_LIBRARY}" "${LibTorch_torch_cpu_LIBRARY}" "${LibTorch_c10_LIBRARY}")
  if(LibTorch_torch_cuda_LIBRARY AND LibTorch_c10_cuda_LIBRARY)
    set(LibTorch_CUDA ON)
  endif()
  if(LibTorch_CUDA AND NOT LibTorch_WITHOUT_CUDA)
    # Nothing refers to a symbol of these two; they register the CUDA kernels when loaded.
    list(APPEND _libtorch_link "-Wl,--no-as-needed" "${LibTorch_torch_cuda_LIBRARY}" "${LibTorch_c10_cuda_LIBRARY}" "-Wl,--as-needed")
  endif()
  add_library(LibTorch::LibTorch INTERFACE IMPORTED)
  set_target_properties(
    LibTorch::LibTorch
    PROPERTIES
      INTERFACE_INCLUDE_DIRECTORIES "${LibTorch_INCLUDE_DIR};${LibTorch_INCLUDE_DIR}/torch/csrc/api/include"
      INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${LibTorch_INCLUDE_DIR};${LibTorch_INCLUDE_DIR}/torch/csrc/api/include"
      INTERFACE_LINK_LIBRARIES "${_libtorch_link}"
      INTERFACE_LINK_OPTIONS "-Wl,-rpath-link,${LibTorch_LIBRARY_DIR}"
  )
endif()
