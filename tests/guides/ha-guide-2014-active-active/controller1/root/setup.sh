# Commands of the guide, as they are typed.
mysql -e "SET wsrep_on=OFF; GRANT ALL ON *.* TO wsrep_sst@'%' IDENTIFIED BY 'wspass'"
service mysql start wsrep_cluster_address=gcomm://
rabbitmqctl set_policy HA '^(?!amq\.).*' '{"ha-mode": "all"}'
