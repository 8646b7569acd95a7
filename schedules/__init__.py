"""When it happens: schedules, their evaluator and policies, beat's scheduler and the publisher."""
