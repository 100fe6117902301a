"""nbgrader on this course: `solutions/` is its source, `assignments/` its release, and the kit's engine grades.

With COURSEKIT_ENGINE=stock nbgrader grades in its own way, under its own trust model: the student's code then runs with
the teacher's rights.
"""

import os

c = get_config()  # noqa: F821  (nbgrader defines it)
c.CourseDirectory.course_id = "coursekit"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "assignments"
# nbgrader hands out every file of a source folder: the solution's text (jupytext) and weights must not be among them.
c.CourseDirectory.ignore = [".ipynb_checkpoints", "*.pyc", "__pycache__", ".pytest_cache", "[0-9][0-9]_*.py", "*.safetensors"]

if os.environ.get("COURSEKIT_ENGINE", "") != "stock":
    c.Autograde.sanitize_preprocessors = [
        "coursekit.grading.host.Mend",
        "nbgrader.preprocessors.CheckCellMetadata",
    ]
    c.Autograde.autograde_preprocessors = [
        "coursekit.grading.host.Contain",
        "nbgrader.preprocessors.AssignLatePenalties",
        "nbgrader.preprocessors.CheckCellMetadata",
    ]
