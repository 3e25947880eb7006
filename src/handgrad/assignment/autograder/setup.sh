#!/bin/sh
set -e
apt-get update
apt-get install -y python3 python3-pip
PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install %s
