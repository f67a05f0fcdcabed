// The image of a node: Debian 12, this repository's code in a virtual environment, and one service that runs the agent.
// The same agent runs as a process of the embedded stack; here it has a machine to itself.
//
//   packer init packer && packer build -var version=0.1.0 packer

packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.3.0"
    }
  }
}

variable "version" {
  type        = string
  description = "What the image is called: headrace-node-<version>."
}

variable "region" {
  type    = string
  default = "us-east-1"
}

variable "wheels" {
  type        = string
  default     = "dist"
  description = "Folder with this repository's wheel and requirements.lock."
}

source "amazon-ebs" "node" {
  ami_name      = "headrace-node-${var.version}"
  instance_type = "m6a.large"
  region        = var.region
  ssh_username  = "admin"
  imds_support  = "v2.0"

  source_ami_filter {
    filters = {
      name                = "debian-12-amd64-*"
      virtualization-type = "hvm"
      root-device-type    = "ebs"
    }
    owners      = ["136693071363"] // Debian
    most_recent = true
  }

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  tags = {
    "headrace:managed" = "true"
    "headrace:version" = var.version
  }
}

build {
  sources = ["source.amazon-ebs.node"]

  provisioner "file" {
    source      = "${var.wheels}/"
    destination = "/tmp/headrace"
  }

  provisioner "file" {
    source      = "${path.root}/headrace-node.service"
    destination = "/tmp/headrace-node.service"
  }

  provisioner "shell" {
    script          = "${path.root}/install.sh"
    execute_command = "sudo sh {{ .Path }}"
  }
}
