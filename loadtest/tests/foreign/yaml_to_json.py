"""Prints the last document of a YAML file as JSON."""

import json
import sys

import yaml

*_, document = yaml.safe_load_all(open(sys.argv[1], encoding="utf-8"))
print(json.dumps(document))
