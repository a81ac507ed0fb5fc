#include "incite/program/load.hpp"
#include "incite/program/save.hpp"
#include <torch/torch.h>
#include <fstream>
#include <iostream>
#include "incite/base/error.hpp"
int main(int argc,char**argv){
  std::vector<int64_t> shape={2}; for(int i=3;i<argc;++i) shape.push_back(std::stoll(argv[i]));
  try{
  auto p=incite::load_program(argv[1], torch::randn(shape));
  for(auto&n:p.nodes){ std::cout<<n.op<<"."<<n.overload<<" @"<<n.source<<" in"; for(auto i:n.inputs) std::cout<<" "<<i<<(p.is_parameter(i)?p.value(i).name:p.is_constant(i)?"c":""); std::cout<<" out"; for(auto i:n.outputs) std::cout<<" "<<i; std::cout<<"\n";}
  std::ofstream(argv[2])<<incite::serialise(p);
  std::cout<<p.parameter_count()<<"\n";
  }catch(const incite::Error&e){std::cerr<<"error: "<<e.what()<<"\n";return (int)e.code();}
}
