#include <incite/decompose.hpp>
#include <iostream>

int main(int /*count*/, char** arguments) {
  incite::DecomposeOptions options;
  options.model = arguments[1];
  options.data.file = arguments[2];
  options.out = arguments[3];
  const incite::Decomposition result = incite::decompose(options);
  std::cout << result.modules.size() << " modules, " << result.mean_compression << "x\n";
}
