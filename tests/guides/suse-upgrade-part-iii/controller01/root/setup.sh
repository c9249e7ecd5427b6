# Commands of the article, as they are typed.
mysql -u root -p$PASSWORD -e "GRANT PROCESS, SELECT ON *.* TO 'monitoring'@'%' IDENTIFIED BY 'mon3Ahk7'"
mysql -u root -p$PASSWORD -e "GRANT ALL PRIVILEGES ON keystone.* TO 'keystone'@'%' IDENTIFIED BY 'ked9Pwq2'"
rabbitmqctl set_cluster_name rabbit@TRAIN
rabbitmqctl add_vhost openstack
rabbitmqctl set_policy --vhost openstack --priority 0 --apply-to queues ha-queues '^(?!amq.).*' '{"ha-mode": "exactly", "ha-params": 2}'
rabbitmqctl add_user openstack PASSWORD
rabbitmqctl set_permissions --vhost openstack openstack ".*" ".*" ".*"
