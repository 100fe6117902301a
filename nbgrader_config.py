"""nbgrader on this course: `solutions/` is its source, `assignments/` its release, and the kit's engine grades.

With COURSEKIT_ENGINE=stock nbgrader grades in its own way, under its own trust model: the student's code then runs with
the teacher's rights.
"""

import os
import sys

c = get_config()  # noqa: F821  (nbgrader defines it)
c.CourseDirectory.course_id = "coursekit"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "assignments"
# nbgrader hands out every file of a source folder: the solution's text (jupytext) and trained weights must not be among
# them. Weights that a student hands in are not ignored, nor are they overwritten by those of the solution.
c.CourseDirectory.ignore = [".ipynb_checkpoints", "*.pyc", "__pycache__", ".pytest_cache", "[0-9][0-9]_*.py"]
if "generate_assignment" in sys.argv:
    c.CourseDirectory.ignore += ["*.safetensors"]
c.Autograde.exclude_overwriting = {
    "01_recurrent_networks": ["parity.safetensors"],
    "04_gan": ["ring.safetensors"],
    "08_text_to_image": ["painter.safetensors"],
}

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
