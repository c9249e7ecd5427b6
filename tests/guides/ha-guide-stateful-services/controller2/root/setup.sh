# Commands of the guide, as they are typed on each node but the first; the last one on any.
rabbitmqctl stop_app
rabbitmqctl join_cluster --ram rabbit@rabbit1
rabbitmqctl start_app
rabbitmqctl set_policy ha-all '^(?!amq\.).*' '{"ha-mode": "all"}'
