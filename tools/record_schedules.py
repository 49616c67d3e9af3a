#!/usr/bin/env python3
"""Records what PyTorch's schedules do to two groups of parameters, for test_schedules.c.

    python3 tools/record_schedules.py > tests/schedules.txt        needs torch

One line for each schedule, `= TEXT`, and one for each step below it: the learning rates of the two groups, which begin at
LR[0] and LR[1], the momentum of both, which begins at 0.9, and the metric that is reported after the step.
"""
import math

import torch
from torch.optim import lr_scheduler

LR = (0.1, 0.02)
STEPS = 60

SCHEDULES = """
StepLR(step_size=7)
StepLR(step_size=1, gamma=0.95)
MultiStepLR(milestones=[5, 20, 20, 41], gamma=0.3)
MultiStepLR(milestones=[1])
ExponentialLR(gamma=0.93)
ExponentialLR(gamma=1.02)
CosineAnnealingLR(T_max=13)
CosineAnnealingLR(T_max=59, eta_min=0.001)
CosineAnnealingWarmRestarts(T_0=9)
CosineAnnealingWarmRestarts(T_0=3, T_mult=2, eta_min=0.002)
CosineAnnealingWarmRestarts(T_0=1, T_mult=3)
LinearLR()
LinearLR(start_factor=0.01, end_factor=0.7, total_iters=23)
ConstantLR()
ConstantLR(factor=0.05, total_iters=31)
PolynomialLR()
PolynomialLR(total_iters=40, power=2.0)
PolynomialLR(total_iters=55, power=0.5)
OneCycleLR(max_lr=0.4, total_steps=60)
OneCycleLR(max_lr=0.3, epochs=4, steps_per_epoch=15, pct_start=0.4, anneal_strategy='linear', div_factor=10, final_div_factor=50)
OneCycleLR(max_lr=0.2, total_steps=60, three_phase=True, base_momentum=0.7, max_momentum=0.99)
OneCycleLR(max_lr=0.2, total_steps=60, cycle_momentum=False)
CyclicLR(base_lr=0.001, max_lr=0.1, step_size_up=7)
CyclicLR(base_lr=0.01, max_lr=0.2, step_size_up=5, step_size_down=11, mode='triangular2')
CyclicLR(base_lr=0.01, max_lr=0.2, step_size_up=6, step_size_down=3, mode='exp_range', gamma=0.97, base_momentum=0.5, max_momentum=0.8)
CyclicLR(base_lr=0.05, max_lr=0.06, step_size_up=1, cycle_momentum=False)
ReduceLROnPlateau(patience=3)
ReduceLROnPlateau(mode='max', factor=0.5, patience=1, threshold=0.01, cooldown=4, min_lr=0.003)
ReduceLROnPlateau(factor=0.3, patience=0, threshold=0.05, threshold_mode='abs', eps=0.001)
ReduceLROnPlateau(mode='max', factor=0.7, patience=2, threshold=0.1, threshold_mode='abs')
SequentialLR(schedulers=[LinearLR(start_factor=0.1, total_iters=10), CosineAnnealingLR(T_max=50)], milestones=[10])
SequentialLR(schedulers=[ConstantLR(factor=0.1, total_iters=30), ExponentialLR(gamma=0.9), StepLR(step_size=4)], milestones=[8, 33])
SequentialLR(schedulers=[LinearLR(start_factor=0.5), PolynomialLR(total_iters=30, power=1.5)], milestones=[5])
"""


def metric(step):
    """Falls, stays, and swings."""
    return round(math.exp(-step / 9) + 0.2 * math.sin(step) ** 2 + (0.5 if step > 40 else 0), 6)


def record(text):
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in LR]
    optimizer = torch.optim.SGD(groups, lr=LR[0], momentum=0.9)
    names = {name: lambda *args, kind=kind, **keywords: kind(optimizer, *args, **keywords)
             for name, kind in vars(lr_scheduler).items() if isinstance(kind, type)}
    schedule = eval(text, names)
    print(f"= {text}")
    for step in range(STEPS):
        print(*(f"{group['lr']:.12g}" for group in optimizer.param_groups),
              f"{optimizer.param_groups[0]['momentum']:.12g}", metric(step))
        optimizer.step()
        if "Plateau" in text:
            schedule.step(metric(step))
        elif step + 1 < STEPS:
            schedule.step()


def main():
    print(f"# tools/record_schedules.py, PyTorch {torch.__version__.partition('+')[0]}")
    for text in SCHEDULES.split("\n"):
        if text:
            record(text)


if __name__ == "__main__":
    main()
