#!/bin/sh
# Runs once, as root, while the image is built.
set -eu

apt-get update -q
apt-get install -q -y --no-install-recommends python3 python3-venv nftables

python3 -m venv /opt/headrace
/opt/headrace/bin/pip install --quiet --require-hashes -r /tmp/headrace/requirements.lock
/opt/headrace/bin/pip install --quiet --no-deps /tmp/headrace/*.whl

# Users' code runs as a user of systemd's dynamic range (dataplane/agent/users_account.py). It must not reach the metadata service: whoever asks there gets the machine's role.
cat > /etc/nftables.conf <<'RULES'
#!/usr/sbin/nft -f
flush ruleset
table inet headrace {
    chain output {
        type filter hook output priority filter; policy accept;
        meta skuid 61184-65519 ip daddr 169.254.169.254 reject
        meta skuid 61184-65519 ip6 daddr fd00:ec2::254 reject
    }
}
RULES
systemctl enable nftables

install -m 0644 /tmp/headrace-node.service /etc/systemd/system/headrace-node.service
systemctl enable headrace-node
rm -rf /tmp/headrace /tmp/headrace-node.service
