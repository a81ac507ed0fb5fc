#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "support/random_network.hpp"

namespace incite::test {

class NetworkBuilder;

/// One kind of part of a network. `write` writes it after what is there: it reads `x` and leaves its result in `x`.
struct Part {
  const char* name;
  void (*write)(NetworkBuilder&);
  bool (*fits)(const NetworkBuilder&) = nullptr;  ///< whether the shape so far allows it; null: always
};
using Parts = std::vector<Part>;

/// The epsilon of norms over the features of one sample: larger than usual, as the few features of these networks are
/// sometimes almost equal, and dividing by their deviation would enlarge rounding errors.
constexpr const char* norm_epsilon = "0.01";

/// The attention that is being written. Queries, keys and values are variables [batch, heads, tokens, width].
struct Attention {
  std::string input;  ///< [batch, tokens, features]
  int64_t tokens = 0;
  int64_t features = 0;
  int64_t heads = 0;
  int64_t width = 0;
  std::string q, k, v;
};

/// What a recurrent layer leaves beside `x`, which is what it gives at each step.
struct Recurrent {
  std::string states;  ///< the variable of the last states [layers * directions, N, hidden]
  int64_t hidden = 0;
  int64_t directions = 1;
  int64_t layers = 1;
  std::string cell;
};

/// Writes a network part by part, and knows the shape that each part gives.
class NetworkBuilder {
 public:
  explicit NetworkBuilder(uint64_t seed);

  RandomNetwork network;
  std::vector<int64_t> shape;  ///< of one sample, so far
  bool strided = false;        ///< `x` is perhaps not contiguous
  Attention attention;         ///< the latest
  Recurrent recurrent;         ///< the latest
  bool rectified = false;      ///< a ReLU follows the head

  /// An integer from low to high, each as likely.
  int64_t between(int64_t low, int64_t high);
  bool chance(uint64_t of) { return random_.below(of) == 0; }
  std::string pick(const std::vector<std::string>& of) { return of[random_.below(of.size())]; }

  /// Writes one of the parts that fit, each as likely, and notes its name.
  void write_one_of(const Parts& parts);

  /// x = expression
  void line(const std::string& expression) { let("x", expression); }
  void let(const std::string& name, const std::string& expression) { statement(name + " = " + expression); }
  void statement(const std::string& text) { network.source += "    " + text + "\n"; }

  /// A name that was not there before: "conv3".
  std::string fresh(const std::string& kind) { return kind + std::to_string(count_++); }

  /// Normal values times `scale`, other ones at each call.
  at::Tensor draw(const std::vector<int64_t>& size, double scale);
  /// Adds a tensor; returns the expression that reads it. `name` is "layer.weight". Running statistics, integers and
  /// names that start with "constant_" are buffers.
  std::string parameter(const std::string& name, const at::Tensor& tensor);
  /// A weight that keeps the variance of what it reads, about.
  std::string weight(const std::string& name, const std::vector<int64_t>& size, int64_t fan_in);
  /// A bias of `size` elements.
  std::string bias(const std::string& name, int64_t size) { return parameter(name, draw({size}, 0.2)); }
  /// A scale around 1.
  std::string scale(const std::string& name, const std::vector<int64_t>& size) {
    return parameter(name, draw(size, 0.3) + 1);
  }

  int64_t elements() const;
  int64_t channels() const { return shape.front(); }  ///< of an image
  int64_t features() const { return shape.back(); }   ///< of a token
  int64_t smallest() const;                           ///< of the sizes in space
  size_t dimensions() const { return shape.size() - 1; }
  /// `x`, such that `view` can take it.
  std::string viewable() const { return strided ? "x.contiguous()" : "x"; }

  /// Scales the layer "head", which is last, so that each output varies by about 1, and ends forward. False where the
  /// signal has vanished, exploded or become constant before the head.
  bool finish();

 private:
  /// Ends with nothing, softmax or such, given outputs before it.
  void end(const at::Tensor& logits);

  Random random_;
  uint64_t seed_;
  int64_t count_ = 0;
};

/// The size of a sliding window and how it slides, the same in each dimension.
struct Window {
  int64_t kernel = 3;
  int64_t stride = 1;
  int64_t padding = 1;
  int64_t dilation = 1;
  int64_t groups = 1;
};

// Expressions of layers, for `input` of so many channels or features. They draw weights, but leave `x` and `shape`
// alone.
std::string convolution(NetworkBuilder& b, const std::string& input, int64_t in, int64_t out, const Window& window);
std::string linear(NetworkBuilder& b, const std::string& input, int64_t in, int64_t out);
std::string batch_norm(NetworkBuilder& b, const std::string& input, int64_t channels);
std::string layer_norm(NetworkBuilder& b, const std::string& input, int64_t features);

/// An activation of `input` that keeps its shape and changes nothing in place.
std::string activated(NetworkBuilder& b, const std::string& input);

/// "[2, 2]", once for each spatial dimension of an image.
std::string each(const NetworkBuilder& b, int64_t value);
/// "[2, 3]", the spatial axes of an image.
std::string spatial_axes(const NetworkBuilder& b);
/// "conv2d" for an image with two spatial dimensions.
std::string with_dimensions(const NetworkBuilder& b, const std::string& name);
/// "1, 2, 3"
std::string joined(const std::vector<int64_t>& values);

/// x = a convolution of x with `out` channels; knows its shape.
void convolve(NetworkBuilder& b, int64_t out, const Window& window);
/// Makes the number of channels a multiple of `of`, and at least `least`, by a 1x1 convolution where it is not.
void require_channels(NetworkBuilder& b, int64_t of, int64_t least = 1);
/// A convolution of kernel 3 with an activation, sometimes with batch norm.
void convolution_block(NetworkBuilder& b);

// Tables of parts, and what puts them in order.
const Parts& activation_parts();
const Parts& convolution_parts();  ///< images: layers, norms, pools
const Parts& channel_parts();      ///< images: what moves, joins and mixes channels
const Parts& block_parts();        ///< images: gates, residual blocks, shared and computed weights
const Parts& flatten_parts();      ///< images to features
const Parts& dense_parts();        ///< features
const Parts& sequence_parts();
const Parts& projection_parts();  ///< of attention: to queries, keys and values
const Parts& attention_parts();   ///< of attention: queries, keys and values to what is read
const Parts& token_pool_parts();  ///< sequences to features
const Parts& cell_parts();
const Parts& recurrent_layer_parts();
const Parts& recurrent_pool_parts();
const Parts& embedding_parts();

/// Attention of the variable `input` [batch, tokens, features] over its tokens. Returns the variable [batch, tokens,
/// features] that it gives.
std::string attention(NetworkBuilder& b, const std::string& input, int64_t tokens, int64_t features);
void write_images(NetworkBuilder& b);
void write_sequence(NetworkBuilder& b);  ///< from a sequence that is there to features
void write_recurrent(NetworkBuilder& b);
void write_embedding(NetworkBuilder& b);
/// Linear layers from features to the outputs, the last of which is the layer "head".
void write_dense(NetworkBuilder& b, int64_t least);
/// The 1x1 convolution "head" with pooling after it, as SqueezeNet's.
void write_convolution_head(NetworkBuilder& b);

}  // namespace incite::test
