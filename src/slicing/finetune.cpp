#include "slicing/finetune.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/fail.hpp"
#include "base/random.hpp"
#include "base/workers.hpp"
#include "program/executor.hpp"
#include "slicing/calibration.hpp"
#include "slicing/convex.hpp"
#include "slicing/students.hpp"

namespace incite {
namespace {

constexpr int64_t validation_batch = 512;                       // samples
constexpr int64_t most_alive_of_positions = int64_t{32} << 20;  // bytes, where outputs have positions

class Finetuner {
 public:
  Finetuner(std::vector<Program>& modules, const std::vector<OutputSet>& sets, OutputKind kind, Task task,
            FinetuneData data, const FinetuneParams& params, const Progress& progress)
      : sets_(sets),
        outputs_(at::tensor(outputs_of(sets), at::kLong)),
        device_(modules.front().device),
        kind_(kind),
        task_(task),
        data_(std::move(data)),
        tails_only_(!data_.tails.empty()),
        params_(params),
        progress_(progress) {
    INCITE_ASSERT(data_.tails.empty() || data_.tails.size() == modules.size());
    const int64_t most = tails_only_ ? most_side_by_side : most_that_fit(modules);
    students_ = Students::groups_of(modules, sets, std::move(data_.tails), *data_.data, {kind, task}, most);
    if (task == Task::classification) {
      places_ = places_of(data_.classes, outputs_of(sets));
      set_own_losses();
    } else if (task == Task::regression) {
      deviations_ = wanted_values(data_.train).std(0).clamp_min(1e-12);
    }
  }

  FinetuneResult run() {
    batch_ = at_once(data_.data->positions.defined() ? params_.position_batch : params_.batch);
    validating_at_once_ = at_once(validation_batch);
    FinetuneResult result;
    note(columns());
    result.losses.push_back(find_rate(validation_loss(best_columns_)));
    double least = result.losses.front();
    int64_t best = 0;  // epochs up to the one that is kept
    for (int64_t epoch = 0; epoch < params_.epochs && !in_vain(epoch, best); ++epoch) {
      run_epoch(epoch);
      const at::Tensor said = columns();
      result.losses.push_back(validation_loss(said));
      if (epoch >= first_that_counts() && result.losses.back() < least) {
        least = result.losses.back();
        best = epoch + 1;
        note(said);
      }
    }
    for_each_student([](Student& student) { student.finish(); });
    result.columns = best_columns_;
    return result;
  }

 private:
  int64_t count() const { return static_cast<int64_t>(sets_.size()); }
  int64_t column_count() const { return outputs_.size(0); }

  /// Modules side by side: what one makes of a batch stays in memory until its gradients are had.
  int64_t most_that_fit(const std::vector<Program>& modules) const {
    if (params_.memory == 0) return most_side_by_side;
    const Batch two = two_samples(*data_.data, device_);
    int64_t bytes = 1;
    for (const Program& module : modules)
      bytes = std::max(bytes, sample_values(module, two).activation_bytes);
    const int64_t of_batch = bytes * 2 * params_.batch / two.samples();
    return std::clamp<int64_t>(params_.memory / std::max<int64_t>(of_batch, 1), 1, most_side_by_side);
  }

  /// What each module's own loss weighs samples with, so that its classes count alike.
  void set_own_losses() {
    const at::Tensor train = places_.index_select(0, points(data_.train));
    const auto all = static_cast<double>(train.size(0));
    std::vector<int64_t> singles;
    int64_t first = 0;
    for (const OutputSet& set : sets_) {
      if (set.size() == 1 && set.others) {
        singles.push_back(first);
      } else if (set.others) {
        const at::Tensor rows = rows_within(train, first, set.size());
        const at::Tensor counts = at::bincount(rows, {}, set.rows()).to(at::kDouble);
        own_sets_.push_back({first, set.size(), all / static_cast<double>(set.rows()) / counts.clamp_min(1)});
      }
      first += set.size();
    }
    singles_ = at::tensor(singles, at::kLong);
    const at::Tensor counts = own(train).sum(0).to(at::kDouble);
    positive_weights_ = 0.5 * all / counts.clamp_min(1);
    negative_weights_ = 0.5 * all / (all - counts).clamp_min(1);
  }

  /// A high rate may do harm that is made good as it falls, and a loss that is low while it is high is mostly luck.
  int64_t first_that_counts() const { return params_.epochs / 2; }

  /// Whether the last epochs were.
  bool in_vain(int64_t epoch, int64_t best) const {
    return epoch - std::max(best, first_that_counts()) >= params_.patience;
  }

  /// Keeps the modules as they are now, and what they say.
  void note(const at::Tensor& said) {
    best_columns_ = said;
    for_each_student([](Student& student) { student.note(); });
  }

  void go_back() {
    for_each_student([](Student& student) { student.go_back(); });
  }

  void for_each_student(const std::function<void(Student&)>& work) {
    for (const Students& group : students_) {
      for (const auto& student : group.all())
        work(*student);
    }
  }

  /// Workers share out the groups.
  void for_each_group(const std::function<void(size_t)>& work) const {
    run_on_workers(static_cast<int64_t>(students_.size()), params_.workers,
                   [&](int64_t group) { work(static_cast<size_t>(group)); });
  }

  /// [samples, single modules] bool: whether a sample is of the module's class.
  at::Tensor own(const at::Tensor& places) const { return places.unsqueeze(1) == singles_.unsqueeze(0); }

  at::Tensor wanted_values(const at::Tensor& samples) const {
    return data_.values.index_select(0, points(samples)).index_select(1, outputs_).to(at::kDouble);
  }

  /// Lowers the learning rate until a few steps with it, from it down to 0, do little harm: modules that are good
  /// already are spoilt by one with which poor ones learn fast. Keeps what those steps have made if it is better;
  /// returns the loss.
  double find_rate(double before) {
    const int64_t steps = std::min(params_.trial_steps, steps_an_epoch());
    for (int64_t trial = 0; trial < params_.trials; ++trial) {
      run_steps("trial", steps, 0, steps);
      const at::Tensor said = columns();
      const double now = validation_loss(said);
      if (now < before)
        note(said);
      else
        go_back();
      if (now < params_.tolerance * before) return std::min(now, before);
      learning_rate_ *= params_.decay;
    }
    return before;
  }

  void run_epoch(int64_t epoch) {
    const int64_t steps = steps_an_epoch();
    run_steps(fmt::format("epoch {}", epoch), steps, epoch * steps, params_.epochs * steps);
  }

  /// Samples that are run at a time, at most `most`: fewer where the values of one at all its positions take much.
  int64_t at_once(int64_t most) const {
    if (!data_.data->positions.defined()) return most;
    const Program& first = students_.front().all().front()->program();
    return batch_size(first, first_samples(*data_.data, first.device), most, most_alive_of_positions);
  }

  int64_t steps_an_epoch() const { return (data_.train.size(0) + batch_ - 1) / batch_; }

  /// Steps over the samples in an order of that name, after `before` of `all` steps over which the rate falls.
  void run_steps(const std::string& name, int64_t steps, int64_t before, int64_t all) {
    const int64_t samples = data_.train.size(0);
    const at::Tensor order = stratified_order(at::Tensor(), samples, derive_seed(params_.seed, name));
    for (int64_t step = 0; step < steps; ++step) {
      const double done = static_cast<double>(before + step) / static_cast<double>(all);
      run_step(order.narrow(0, step * batch_, std::min(batch_, samples - step * batch_)),
               0.5 * learning_rate_ * (1 + std::cos(std::numbers::pi * done)));
      if (progress_) progress_({params_.stage, before + step + 1, all, "batches"});
    }
  }

  /// `rows` are rows of data_.train.
  void run_step(const at::Tensor& rows, double learning_rate) {
    const OneThread between;  // the work of the workers
    const at::Tensor samples = data_.train.index_select(0, rows);
    const Batch batch = batch_of(samples);
    std::vector<std::vector<at::Tensor>> columns(students_.size());  // by group, by module
    for_each_group([&](size_t group) {
      const at::AutoGradMode gradients(true);
      columns[group] = students_[group].columns(*data_.data, batch, samples, rows);
    });
    std::vector<at::Tensor> values;
    for (const std::vector<at::Tensor>& of_group : columns) {
      for (const at::Tensor& column : of_group)
        values.push_back(column.detach().cpu());
    }
    const at::Tensor all = at::cat(values, 1).set_requires_grad(true);
    {
      const at::AutoGradMode gradients(true);
      loss(all, samples, rows).backward();
    }
    const at::Tensor gradient = all.grad().to(device_);
    std::vector<int64_t> sizes;
    for (const OutputSet& set : sets_)
      sizes.push_back(set.size());
    const std::vector<at::Tensor> gradients = gradient.split_with_sizes(sizes, 1);
    for_each_group([&](size_t group) {
      const auto first = gradients.begin() + students_[group].first();
      students_[group].step(columns[group], {first, first + students_[group].count()}, learning_rate);
    });
  }

  /// What whole modules are run on; tails have their own.
  Batch batch_of(const at::Tensor& samples) const {
    return tails_only_ ? Batch{} : data_.data->batch(samples, device_);
  }

  at::Tensor points(const at::Tensor& samples) const { return data_.data->points(samples); }

  /// The modules' own losses, at `places`: their mean over samples and modules.
  at::Tensor own_losses(const at::Tensor& columns, const at::Tensor& places) const {
    at::Tensor sum = at::zeros({}, at::kDouble);
    if (singles_.size(0) > 0) {
      const bool all = singles_.size(0) == column_count();
      const at::Tensor single = all ? columns : columns.index_select(1, singles_);
      const at::Tensor is_own = own(places);
      const at::Tensor signs = at::where(is_own, at::full({}, 1.0, at::kDouble), at::full({}, -1.0, at::kDouble));
      sum = (at::where(is_own, positive_weights_, negative_weights_) * at::softplus(-single * signs)).mean() *
            (static_cast<double>(singles_.size(0)) / static_cast<double>(count()));
    }
    for (const OwnSet& set : own_sets_) {
      const at::Tensor odds = columns.narrow(1, set.first, set.size);
      const at::Tensor rows = rows_within(places, set.first, set.size);
      const at::Tensor logits = at::cat({at::zeros_like(odds.narrow(1, 0, 1)), odds}, 1);
      const at::Tensor losses = at::cross_entropy_loss(logits, rows, {}, at::Reduction::None);
      sum = sum + (set.weights.index_select(0, rows) * losses).mean() / static_cast<double>(count());
    }
    return sum;
  }

  /// Of the log-odds of labels; as loss.
  at::Tensor label_loss(const at::Tensor& columns, const at::Tensor& samples, const at::Tensor& rows) const {
    at::Tensor targets = wanted_values(samples);
    if (rows.defined() && data_.original.defined())
      targets = (1 - params_.teacher) * targets + params_.teacher * teacher(rows);
    return at::binary_cross_entropy_with_logits(columns, targets);
  }

  /// The original's probabilities for the columns.
  at::Tensor teacher(const at::Tensor& rows) const {
    return data_.original.index_select(0, points(rows)).index_select(1, outputs_).to(at::kDouble);
  }

  /// Of columns [samples, columns]. `rows`: of data_.original; undefined: against the labels alone.
  at::Tensor loss(const at::Tensor& columns, const at::Tensor& samples, const at::Tensor& rows) const {
    if (task_ == Task::regression) return ((columns - wanted_values(samples)) / deviations_).abs().mean();
    if (task_ == Task::multilabel) return label_loss(columns, samples, rows);
    const at::Tensor places = places_.index_select(0, points(samples));
    at::Tensor alone = own_losses(columns, places);
    if (column_count() == 1) return alone;
    const at::Tensor known = places >= 0;
    const at::Tensor logs = columns.log_softmax(1);
    // The mean over the samples of which some module knows the class; 0 where there is none.
    const auto mean = [&](const at::Tensor& losses) {
      return losses.masked_fill(known.logical_not(), 0).sum() / known.sum().clamp_min(1);
    };
    at::Tensor together = mean(-logs.gather(1, places.clamp_min(0).unsqueeze(1)).squeeze(1));
    if (rows.defined() && data_.original.defined()) {
      const double t = params_.temperature;  // its square keeps the gradient as large as it is without one
      const at::Tensor soft = teacher(rows).pow(1 / t);
      const at::Tensor shares = soft / soft.sum(1, true).clamp_min(1e-12);
      const at::Tensor soft_logs = t == 1 ? logs : (columns / t).log_softmax(1);
      together = (1 - params_.teacher) * together - params_.teacher * t * t * mean((shares * soft_logs).sum(1));
    }
    return together + (count() == 1 ? 1.0 : own_share) * alone;
  }

  /// What the modules say of the validation samples: [points, columns] float64.
  at::Tensor columns() const {
    const at::NoGradGuard no_grad;
    std::vector<at::Tensor> said(students_.size());
    for_each_group([&](size_t group) {
      const at::NoGradGuard no_grad_here;
      std::vector<at::Tensor> parts;
      in_batches(data_.validation.size(0), validating_at_once_, [&](int64_t first, int64_t count) {
        const int64_t row = data_.train.size(0) + first;
        const at::Tensor rows = at::arange(row, row + count, at::kLong);
        const at::Tensor samples = data_.validation.narrow(0, first, count);
        parts.push_back(at::cat(students_[group].columns(*data_.data, batch_of(samples), samples, rows), 1).cpu());
      });
      said[group] = at::cat(parts);
    });
    return at::cat(said, 1);
  }

  double validation_loss(const at::Tensor& said) {
    at::Tensor compared = said;
    if (params_.calibrated && task_ == Task::multilabel) {
      compared = calibrated(said, calibrate_labels(said, wanted_values(data_.validation)));
    } else if (params_.calibrated) {
      calibrations_ = calibrate(said, places_.index_select(0, points(data_.validation)), sets_, calibrations_);
      compared = calibrated(said, calibrations_, sets_);
    }
    const OneThread alone;
    const at::NoGradGuard no_grad;
    return loss(compared, data_.validation, {}).item<double>();
  }

  /// A module for several classes, whose own loss is a cross-entropy over them and the others.
  struct OwnSet {
    int64_t first, size;  // of its columns
    at::Tensor weights;   // by row
  };

  const std::vector<OutputSet>& sets_;
  const at::Tensor outputs_;  // by column
  const at::Device device_;
  const OutputKind kind_;
  const Task task_;
  FinetuneData data_;
  const bool tails_only_;
  const FinetuneParams& params_;
  const Progress& progress_;
  std::vector<Students> students_;
  int64_t batch_ = 1, validating_at_once_ = 1;      // samples
  double learning_rate_ = params_.learning_rate;    // at the start of the cosine
  at::Tensor places_;                               // of all samples' classes: their columns
  at::Tensor singles_;                              // columns of modules for one class
  at::Tensor positive_weights_, negative_weights_;  // [singles]
  std::vector<OwnSet> own_sets_;
  at::Tensor deviations_;                  // [columns]
  at::Tensor best_columns_;                // what the modules said that are kept
  std::vector<Calibration> calibrations_;  // the last ones: the next are near them
};

}  // namespace

FinetuneResult finetune(std::vector<Program>& modules, const std::vector<OutputSet>& sets, OutputKind kind, Task task,
                        FinetuneData data, const FinetuneParams& params, const Progress& progress) {
  INCITE_ASSERT(!modules.empty() && modules.size() == sets.size());
  return Finetuner(modules, sets, kind, task, std::move(data), params, progress).run();
}

}  // namespace incite
